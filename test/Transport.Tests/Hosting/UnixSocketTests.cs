using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Hosting;

public sealed class UnixSocketTests : IDisposable
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    private readonly string _directory = Directory.CreateTempSubdirectory("netpoll-").FullName;

    private string SocketPath => Path.Combine(_directory, "socket");

    private UnixDomainSocketEndPoint EndPoint => new(SocketPath);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_path_is_served_and_its_file_is_gone_after_the_stop(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Kestrel = options => options.ListenUnixSocket(SocketPath);
            setup.App = context => context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "other");
        });

        Assert.True(File.Exists(SocketPath));
        using RawClient client = await RawClient.ConnectAsync(EndPoint);
        await client.SendAsync(Request);
        Assert.Equal(kind == TransportKind.Netpoll ? "netpoll" : "other", (await client.ReadResponseAsync()).Text);

        await server.StopAsync();
        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public async Task The_addresses_are_those_of_the_Sockets_transport()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: EndPoint);
        Assert.Equal(EndPoint, harness.Listener.EndPoint);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Assert.Equal(EndPoint, connection.LocalEndPoint);
        Assert.Equal("", Assert.IsType<UnixDomainSocketEndPoint>(connection.RemoteEndPoint).ToString());

        // A client may have a name, too.
        var name = new UnixDomainSocketEndPoint(Path.Combine(_directory, "a client with a rather long name"));
        using var named = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        named.Bind(name);
        await named.ConnectAsync(EndPoint).InTime();
        NetpollConnection second = await harness.AcceptAsync();
        Assert.Equal(name, second.RemoteEndPoint);

        await connection.DisposeAsync().InTime();
        await second.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task An_abstract_name_is_served_and_makes_no_file()
    {
        var endPoint = new UnixDomainSocketEndPoint($"\0netpoll-{Guid.NewGuid()}");
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: endPoint);
        Assert.Equal(endPoint, harness.Listener.EndPoint);

        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("x");
        Assert.Equal(1, (await connection.Transport.Input.ReadAsync().InTime()).Buffer.Length);
        await Assert.ThrowsAsync<AddressInUseException>(() => harness.Factory.BindAsync(endPoint).AsTask());

        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task The_file_gets_the_mode_asked_for()
    {
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite;
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { UnixSocketMode = Mode }, endPoint: EndPoint);

        Assert.Equal(Mode, File.GetUnixFileMode(SocketPath));
    }

    /// <summary>As one who may write to the directory can, at every moment from the bind on.</summary>
    [Theory]
    [InlineData(nameof(SystemCalls.Bind), true)]
    [InlineData(nameof(SystemCalls.Bind), false)]
    [InlineData(nameof(SystemCalls.Identify), true)]
    [InlineData(nameof(SystemCalls.Identify), false)]
    [InlineData(nameof(SystemCalls.Open), true)]
    public async Task The_mode_is_never_given_to_what_somebody_has_put_in_the_place_of_the_file(string after, bool isLink)
    {
        const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        string secret = Path.Combine(_directory, "secret");
        await File.WriteAllTextAsync(secret, "");
        File.SetUnixFileMode(secret, Private);
        var kernel = new Swapping(after, SocketPath, secret, isLink);
        var options = new NetpollTransportOptions { UnixSocketMode = Private | UnixFileMode.OtherRead | UnixFileMode.OtherWrite };

        if (after == nameof(SystemCalls.Open))
        {
            // The descriptor is that of our file, wherever that is by now.
            await using TransportHarness harness = await TransportHarness.StartAsync(kernel, options, EndPoint);
            Assert.Equal(options.UnixSocketMode, File.GetUnixFileMode(SocketPath + ".gone"));
        }
        else
        {
            SocketException e = await Assert.ThrowsAsync<SocketException>(() => TransportHarness.StartAsync(kernel, options, EndPoint));
            Assert.Contains("chmod(606)", e.Message, StringComparison.Ordinal);
        }

        Assert.True(kernel.Done);
        Assert.Equal(Private, File.GetUnixFileMode(SocketPath));
        Assert.True(File.Exists(SocketPath));
    }

    [Fact]
    public async Task The_file_has_at_no_moment_more_permissions_than_asked_for()
    {
        var kernel = new ModeAfterBind();
        var options = new NetpollTransportOptions { UnixSocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };

        await using TransportHarness harness = await TransportHarness.StartAsync(kernel, options, EndPoint);

        Assert.Equal(options.UnixSocketMode, kernel.Mode);
    }

    [Theory]
    [InlineData("missing/socket", true)]
    [InlineData("file/socket", false)]
    [InlineData("loop/socket", false)]
    public async Task A_path_that_leads_nowhere_has_an_error_code_that_says_something(string path, bool codeOfSockets)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "file"), "");
        File.CreateSymbolicLink(Path.Combine(_directory, "loop"), "loop");
        string full = Path.Combine(_directory, path);

        SocketException[] e = [.. await Task.WhenAll(((TransportKind[])[TransportKind.Netpoll, TransportKind.Sockets]).Select(kind =>
            Assert.ThrowsAsync<SocketException>(
                () => TestServer.StartAsync(kind, setup => setup.Kestrel = options => options.ListenUnixSocket(full)))))];

        Assert.Equal(SocketError.AddressNotAvailable, e[0].SocketErrorCode);
        Assert.True(e[0].NativeErrorCode > 0, e[0].ToString());
        if (codeOfSockets)
        {
            Assert.Equal((e[1].SocketErrorCode, e[1].NativeErrorCode), (e[0].SocketErrorCode, e[0].NativeErrorCode));
        }
    }

    /// <summary>Kestrel treats an <see cref="IOException"/> in its own way, so it must be none.</summary>
    [Fact]
    public async Task A_mode_that_cannot_be_set_is_named_and_nothing_is_left_behind()
    {
        var kernel = new NoChmod();
        var options = new NetpollTransportOptions { UnixSocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };

        SocketException e = await Assert.ThrowsAsync<SocketException>(() => TransportHarness.StartAsync(kernel, options, EndPoint));

        Assert.Equal(SocketError.AccessDenied, e.SocketErrorCode);
        Assert.StartsWith($"chmod(600) for {EndPoint} (UnixSocketMode): ", e.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(SocketPath));
        Assert.Equal([], kernel.OpenSockets);
    }

    /// <summary>Linux hands these on for TCP only.</summary>
    [Fact]
    public async Task The_buffer_sizes_are_those_asked_for()
    {
        var options = new NetpollTransportOptions { ReceiveBufferSize = 20_000, SendBufferSize = 30_000 };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: EndPoint);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();

        Socket socket = ((IConnectionSocketFeature)connection).Socket;
        Assert.Equal((40_000, 60_000), (socket.ReceiveBufferSize, socket.SendBufferSize));

        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task A_socket_in_use_is_refused_also_when_stale_ones_are_replaced()
    {
        var options = new NetpollTransportOptions { ReplaceStaleUnixSocket = true };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: EndPoint);

        await Assert.ThrowsAsync<AddressInUseException>(() => harness.Factory.BindAsync(EndPoint).AsTask());

        using RawClient client = await harness.ConnectClientAsync();
        await using NetpollConnection connection = await harness.AcceptAsync();
        Assert.True(File.Exists(SocketPath));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stale_socket_is_replaced_if_that_is_asked_for(bool replace)
    {
        LeaveStaleSocket(SocketPath);
        var options = new NetpollTransportOptions { ReplaceStaleUnixSocket = replace };
        if (!replace)
        {
            await Assert.ThrowsAsync<AddressInUseException>(() => TransportHarness.StartAsync(options: options, endPoint: EndPoint));
            Assert.True(File.Exists(SocketPath));
            return;
        }

        await using TransportHarness harness = await TransportHarness.StartAsync(options: options, endPoint: EndPoint);
        using RawClient client = await harness.ConnectClientAsync();
        await using NetpollConnection connection = await harness.AcceptAsync();
    }

    [Fact]
    public async Task A_file_that_is_no_socket_is_never_replaced()
    {
        await File.WriteAllTextAsync(SocketPath, "precious");
        var options = new NetpollTransportOptions { ReplaceStaleUnixSocket = true };

        await Assert.ThrowsAsync<AddressInUseException>(() => TransportHarness.StartAsync(options: options, endPoint: EndPoint));

        Assert.Equal("precious", await File.ReadAllTextAsync(SocketPath));
    }

    [Fact]
    public async Task A_file_that_somebody_has_put_in_its_place_stays()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(endPoint: EndPoint);
        File.Delete(SocketPath);
        await using TransportHarness successor = await TransportHarness.StartAsync(endPoint: EndPoint);

        await harness.Listener.DisposeAsync().InTime();

        using RawClient client = await successor.ConnectClientAsync();
        await using NetpollConnection connection = await successor.AcceptAsync();
    }

    [Fact]
    public async Task A_directory_that_does_not_exist_is_named()
    {
        var endPoint = new UnixDomainSocketEndPoint(Path.Combine(_directory, "missing", "socket"));

        SocketException e = await Assert.ThrowsAsync<SocketException>(() => TransportHarness.StartAsync(endPoint: endPoint));

        Assert.Contains($"bind for {endPoint}", e.Message, StringComparison.Ordinal);
        Assert.Contains("ENOENT", e.Message, StringComparison.Ordinal);
    }

    /// <summary>Puts a file, or a link to it, in a socket's place, right after a call that is about it.</summary>
    private sealed class Swapping(string after, string path, string target, bool isLink) : SystemCalls
    {
        internal bool Done { get; private set; }

        protected internal override SyscallResult BindOnce(int fd, ReadOnlySpan<byte> address) =>
            Swap(nameof(Bind), base.BindOnce(fd, address));

        protected internal override SyscallResult IdentifyOnce(string path, out FileIdentity identity) =>
            Swap(nameof(Identify), base.IdentifyOnce(path, out identity));

        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) =>
            Swap(nameof(Open), base.OpenOnce(path, flags, mode));

        private SyscallResult Swap(string call, SyscallResult result)
        {
            if (call != after || Done || !File.Exists(path))
            {
                return result;
            }

            Done = true;
            File.Move(path, path + ".gone");
            if (isLink)
            {
                File.CreateSymbolicLink(path, target);
            }
            else
            {
                File.Move(target, path);
            }

            return result;
        }
    }

    private sealed class ModeAfterBind : SystemCalls
    {
        internal UnixFileMode? Mode { get; private set; }

        protected internal override SyscallResult BindOnce(int fd, ReadOnlySpan<byte> address)
        {
            SyscallResult result = base.BindOnce(fd, address);
            Mode = File.GetUnixFileMode(Encoding.UTF8.GetString(address[sizeof(ushort)..].TrimEnd((byte)0)));
            return result;
        }
    }

    private sealed class NoChmod : SystemCalls
    {
        internal HashSet<int> OpenSockets { get; } = [];

        protected internal override SyscallResult FchmodOnce(int fd, uint mode) => SyscallResult.Failure(Errno.EPERM);

        protected internal override SyscallResult ChmodOnce(string path, uint mode) => SyscallResult.Failure(Errno.EPERM);

        protected internal override SyscallResult SocketOnce(int domain, int type, int protocol)
        {
            SyscallResult result = base.SocketOnce(domain, type, protocol);
            lock (OpenSockets)
            {
                Assert.True(OpenSockets.Add(result.Value));
            }

            return result;
        }

        protected internal override SyscallResult CloseOnce(int fd)
        {
            lock (OpenSockets)
            {
                OpenSockets.Remove(fd);
            }

            return base.CloseOnce(fd);
        }
    }

    // What is left of a process that was killed. Disposing of a Socket would remove the file.
    private static void LeaveStaleSocket(string path)
    {
        using var other = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        string temporary = path + ".bound";
        other.Bind(new UnixDomainSocketEndPoint(temporary));
        other.Listen();
        File.Move(temporary, path);
    }
}
