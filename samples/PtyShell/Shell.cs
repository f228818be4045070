using System.ComponentModel;
using System.Diagnostics;
using KestrelNetpoll.Native;

namespace PtyShell;

/// <summary>A program in a pseudo-terminal.</summary>
internal sealed class Shell : IAsyncDisposable
{
    private static readonly TimeSpan TimeToLeave = TimeSpan.FromSeconds(2);

    private readonly NetpollFile _master;
    private readonly NetpollFile _terminal;
    private readonly Process _process;

    private Shell(NetpollFile master, NetpollFile terminal, Process process)
    {
        _master = master;
        _terminal = terminal;
        _process = process;
    }

    /// <param name="program">A path, or a name that is in PATH.</param>
    internal static Shell Start(string program)
    {
        NetpollFile.OpenPseudoTerminal(out NetpollFile master, out NetpollFile terminal);
        try
        {
            // A session of its own, so that the terminal controls it: Ctrl-C then ends what runs in it. The page is no VT100.
            var start = new ProcessStartInfo("sh", ["-c", "exec setsid -c \"$1\" <\"$0\" >\"$0\" 2>&1", terminal.Name, program]);
            start.Environment["TERM"] = "dumb";
            return new Shell(master, terminal, Process.Start(start)!);
        }
        catch (Win32Exception)
        {
            terminal.Dispose();
            master.Dispose();
            throw;
        }
    }

    /// <summary>What is shown. 0 when the program has ended.</summary>
    internal async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await _master.ReadAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (e is IOException or DeadlineExceededException)
        {
            // Nobody has the terminal open any more (EIO); or a program in the background has, and has had its time.
            return 0;
        }
    }

    /// <summary>Types it.</summary>
    internal async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        await _master.WriteAsync(bytes, cancellationToken);

    internal void Resize(WindowSize size) => size.SetOn(_master.SafeHandle);

    /// <summary>Waits until the program has ended. From then on reads end as well, after what it has written last.</summary>
    internal async Task WaitForExitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        _master.SetReadDeadline(DateTimeOffset.UtcNow.AddSeconds(1));
        _terminal.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        // The terminal is gone: the kernel sends SIGHUP to the session.
        _terminal.Dispose();
        _master.Dispose();
        try
        {
            await _process.WaitForExitAsync().WaitAsync(TimeToLeave);
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
