using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace KestrelNetpoll.Samples.Tests;

/// <summary>With a test in the place of systemd.</summary>
public sealed partial class SystemdUnixTests : IDisposable
{
    private const int F_SETFD = 2;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("systemd-unix-");
    private readonly Socket _web = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Socket _notify = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

    public void Dispose()
    {
        _web.Dispose();
        _notify.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_socket_of_systemd_is_served_by_name_and_goes_from_process_to_process()
    {
        _web.Bind(new UnixDomainSocketEndPoint(PathOf("web")));
        _web.Listen();
        _notify.Bind(new UnixDomainSocketEndPoint(PathOf("notify")));
        await using SampleProcess first = Start(isActivated: true);
        Assert.Equal("READY=1", await ReceiveAsync());
        Assert.StartsWith($"Process {first.Id} has answered process {Environment.ProcessId} ", await AskAsync("/"), StringComparison.Ordinal);
        await Patience.UntilAsync(IsListenedAtHandOver, "the first one waits for a successor");

        // What ExecReload does, while a request is under way.
        Task<string> slow = AskAsync("/slow/4");
        await using SampleProcess second = Start(isActivated: false);
        List<string> told = [await ReceiveAsync(), await ReceiveAsync(), await ReceiveAsync()];

        Assert.StartsWith("RELOADING=1\n", told[0], StringComparison.Ordinal);
        Assert.Equal([$"MAINPID={second.Id}\nREADY=1", "READY=1"], told[1..].Order());
        Assert.StartsWith($"Process {second.Id} ", await AskAsync("/"), StringComparison.Ordinal);
        Assert.StartsWith($"Process {first.Id} ", await slow, StringComparison.Ordinal);
        Assert.Equal(0, await first.WaitForExitAsync());
        Assert.Equal(0, await second.StopAsync());
    }

    [Fact]
    public async Task What_a_killed_process_has_left_in_the_runtime_folder_is_replaced()
    {
        string left = PathOf("left");
        _web.Bind(new UnixDomainSocketEndPoint(left));
        File.Move(left, PathOf("systemd-unix.sock"));
        _web.Close();
        Dictionary<string, string?> environment = new() { ["XDG_RUNTIME_DIR"] = _folder.FullName, ["LISTEN_FDS"] = null };
        await using SampleProcess sample = SampleProcess.StartByShell("exec \"$@\"", environment, "SystemdUnix");

        Assert.Equal($"unix:{PathOf("systemd-unix.sock")}", await sample.FindAsync("^Listening on http://(.*)$"));
        Assert.Equal(0, await sample.StopAsync());
    }

    [Fact]
    public void The_service_and_the_socket_speak_of_the_same_things()
    {
        string folder = Path.Combine(SampleProcess.Repository, "samples/SystemdUnix");
        string[] service = File.ReadAllLines(Path.Combine(folder, "systemd-unix.service"));
        string[] socket = File.ReadAllLines(Path.Combine(folder, "systemd-unix.socket"));

        string path = ValueOf(socket, "ListenStream");
        string command = ValueOf(service, "ExecStart");
        Assert.Contains($"--socket {path} ", command, StringComparison.Ordinal);
        Assert.EndsWith($"--hand-over /run/{ValueOf(service, "RuntimeDirectory")}/hand-over", command, StringComparison.Ordinal);
        Assert.Equal($"/bin/sh -c '{command} &'", ValueOf(service, "ExecReload"));
        Assert.Equal("web", ValueOf(socket, "FileDescriptorName"));
        Assert.Equal("notify", ValueOf(service, "Type"));
    }

    private static string ValueOf(string[] unit, string name) =>
        unit.Single(line => line.StartsWith($"{name}=", StringComparison.Ordinal))[(name.Length + 1)..];

    // The number of the socket is any above 3. Those below it have another name, and nobody asks for them.
    private SampleProcess Start(bool isActivated)
    {
        Dictionary<string, string?> environment = new() { ["NOTIFY_SOCKET"] = PathOf("notify"), ["INVOCATION_ID"] = null };
        if (isActivated)
        {
            int number = (int)_web.Handle;
            Assert.Equal(0, SetFlags(number, F_SETFD, 0));
            environment["LISTEN_FDS"] = (number - 2).ToString(CultureInfo.InvariantCulture);
            environment["LISTEN_FDNAMES"] = string.Concat(Enumerable.Repeat("other:", number - 3)) + "web";
        }

        return SampleProcess.StartByShell(
            $"{(isActivated ? "export LISTEN_PID=$$; " : "")}exec \"$@\"",
            environment,
            "SystemdUnix", "--socket", PathOf("web"), "--hand-over", PathOf("hand-over"));
    }

    private async Task<string> ReceiveAsync()
    {
        byte[] buffer = new byte[1024];
        return Encoding.UTF8.GetString(buffer, 0, await _notify.ReceiveAsync(buffer).InTime());
    }

    // A connection of its own each time: the old process need not wait for it.
    private async Task<string> AskAsync(string path)
    {
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(PathOf("web")), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        return await client.GetStringAsync($"http://localhost{path}").InTime();
    }

    // The file is there a moment before.
    private bool IsListenedAtHandOver() => File.ReadLines("/proc/net/unix").Any(line =>
        line.Contains(" 00010000 ", StringComparison.Ordinal) && line.EndsWith($" {PathOf("hand-over")}", StringComparison.Ordinal));

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int SetFlags(int descriptor, int command, int flags);
}
