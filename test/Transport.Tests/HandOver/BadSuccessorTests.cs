using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Whoever connects to a server and does not take over leaves it as it was: it serves, and the next one can take over.</summary>
[OneMode]
public sealed class BadSuccessorTests : IDisposable
{
    private const string Hello = "netpoll hand-over 1";

    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    public static TheoryData<string, byte[]> Nonsense => new()
    {
        { "an HTTP request", Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
        { "another version", RawPeer.Message('H', "netpoll hand-over 2") },
        { "a question before the greeting", RawPeer.Message('A', "x") },
        { "ready before the greeting", RawPeer.Message('R', "") },
        { "the greeting twice", [.. RawPeer.Message('H', Hello), .. RawPeer.Message('H', Hello)] },
        { "a message that is too long", [(byte)'H', 0xFF, 0xFF, 1] },
        { "an unknown message", [.. RawPeer.Message('H', Hello), .. RawPeer.Message('?', "")] },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public async Task Nonsense_is_refused(string what, byte[] bytes)
    {
        await using TestServer old = await _place.StartServingAsync();
        using (RawPeer peer = await RawPeer.ConnectAsync(_place.Path))
        {
            peer.Send(bytes);
            (char Kind, string Payload)? answer = await peer.ReceiveAsync();
            answer = answer?.Kind == 'W' ? await peer.ReceiveAsync() : answer;

            Assert.True(answer?.Kind == 'X', what);
            Assert.NotEmpty(answer.Value.Payload);
            Assert.Null(await peer.ReceiveAsync());
        }

        await AssertServesAndIsSucceededAsync(old);
    }

    [Theory]
    [InlineData("")]
    [InlineData("H")]
    [InlineData("HA")]
    [InlineData("HAA?")]
    public async Task One_that_ends_half_way_has_taken_nothing(string messages)
    {
        string path = _place.FileNamed("web.sock");
        Action<TestServerSetup> withUnixSocket = setup => setup.Kestrel = options => options.ListenUnixSocket(path);
        await using TestServer old = await _place.StartServingAsync(withUnixSocket);
        using (RawPeer peer = await RawPeer.ConnectAsync(_place.Path))
        {
            byte[] address = SocketAddresses.ToBytes(messages.Length == 2 ? old.EndPoint : new UnixDomainSocketEndPoint(path));
            foreach (char message in messages)
            {
                if (message == '?')
                {
                    // In the middle of a message.
                    peer.Send([(byte)'A', 10, 0, 1]);
                    break;
                }

                peer.Send(message == 'H' ? RawPeer.Message('H', Hello) : [(byte)'A', (byte)address.Length, 0, .. address]);
                Assert.Equal(message == 'H' ? 'W' : 'S', (await peer.ReceiveAsync())?.Kind);
            }
        }

        await AssertServesAndIsSucceededAsync(old, withUnixSocket);
        Assert.False(File.Exists(path));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_says_nothing_is_not_waited_for(bool afterGreeting)
    {
        HandOverTimes times = afterGreeting
            ? new HandOverTimes { Session = TimeSpan.FromSeconds(1) }
            : new HandOverTimes { Exchange = TimeSpan.FromMilliseconds(50) };
        await using TestServer old = await _place.StartServingAsync(times: times);
        using RawPeer peer = await RawPeer.ConnectAsync(_place.Path);
        if (afterGreeting)
        {
            peer.Send('H', Hello);
            Assert.Equal('W', (await peer.ReceiveAsync())?.Kind);
        }

        Assert.Equal('X', (await peer.ReceiveAsync())?.Kind);
        Assert.Null(await peer.ReceiveAsync());
        LogEntry entry = Assert.Single(old.Logs.Of(TransportKind.Netpoll, 142));
        Assert.Equal(LogLevel.Warning, entry.Level);
        Assert.IsType<TimeoutException>(entry.Exception);
    }

    [Fact]
    public async Task Another_user_is_refused_unheard()
    {
        var kernel = new OtherUserKernel();
        await using TestServer old = await _place.StartServingAsync(setup => setup.SystemCalls = kernel);
        using RawPeer peer = await RawPeer.ConnectAsync(_place.Path);
        Assert.Equal('X', (await peer.ReceiveAsync())?.Kind);
        Assert.Contains("It is user 12345", Assert.Single(old.Logs.Of(TransportKind.Netpoll, 142)).Exception!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_file_is_for_the_user_only()
    {
        await using TestServer old = await _place.StartServingAsync();

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_place.Path));
    }

    [Fact]
    public async Task Descriptors_that_nobody_asked_for_are_closed()
    {
        await using TestServer old = await _place.StartServingAsync();
        Assert.True(SystemCalls.Instance.Pipe2(out int read, out int write, LibC.O_NONBLOCK).IsSuccess);
        using (RawPeer peer = await RawPeer.ConnectAsync(_place.Path))
        {
            peer.Send('H', Hello, write, write, write);
            SystemCalls.Instance.Close(write);
            Assert.Equal('W', (await peer.ReceiveAsync())?.Kind);
        }

        // The end of the pipe shows that no descriptor of its other end is open.
        await Patience.UntilAsync(
            () => SystemCalls.Instance.Read(read, new byte[1]) is { IsSuccess: true, Value: 0 }, "the descriptors are closed");
        SystemCalls.Instance.Close(read);
        await AssertServesAndIsSucceededAsync(old);
    }

    [Fact]
    public async Task A_second_one_waits_until_the_first_is_through()
    {
        await using TestServer old = await _place.StartServingAsync();
        using RawPeer first = await RawPeer.ConnectAsync(_place.Path);
        first.Send('H', Hello);
        Assert.Equal('W', (await first.ReceiveAsync())?.Kind);
        using RawPeer second = await RawPeer.ConnectAsync(_place.Path);
        second.Send('H', Hello);
        Task<(char Kind, string Payload)?> answer = second.ReceiveAsync();
        first.Send('A', "no address");
        Assert.Equal('S', (await first.ReceiveAsync())?.Kind);
        Assert.False(answer.IsCompleted);

        first.Dispose();

        Assert.Equal('W', (await answer)?.Kind);
    }

    private async Task AssertServesAndIsSucceededAsync(TestServer old, Action<TestServerSetup>? configure = null)
    {
        using (RawClient client = await old.ConnectAsync())
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            RawResponse response = await client.ReadResponseAsync();
            Assert.Equal("1", response.Text);
            Assert.False(response.Headers.ContainsKey("Connection"));
        }

        Assert.Empty(old.Logs.Of(TransportKind.Netpoll, 140));
        await using TestServer young = await _place.StartServingAsync(configure);
        await old.DrainedAsync();
        await old.DisposeAsync();
        using RawClient fresh = await young.ConnectAsync();
        Assert.Equal("2", await fresh.AskAsync());
        Assert.Single(old.Logs.Of(TransportKind.Netpoll, 142));
        if (configure is not null)
        {
            using RawClient unix = await RawClient.ConnectAsync(
                young.Factory!.EndPoints.Single(static endPoint => endPoint is UnixDomainSocketEndPoint));
            Assert.Equal("2", await unix.AskAsync());
        }
    }

    private sealed class OtherUserKernel : SystemCalls
    {
        protected internal override SyscallResult GetPeerCredentialsOnce(int fd, out int processId, out uint userId, out uint groupId)
        {
            SyscallResult result = base.GetPeerCredentialsOnce(fd, out processId, out userId, out groupId);
            userId = 12345;
            return result;
        }
    }
}
