using System.Diagnostics;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>
/// Programs that compute as long as they are let: other work on the machine. They end with this program, however it ends.
/// </summary>
internal sealed class Hogs : IDisposable
{
    // The end of the input comes also when this program is killed. An interrupt from the terminal goes to all, and the shell has to outlive
    // it: what it has started in the background does.
    private const string Script = "trap '' INT QUIT HUP; exec 2>/dev/null; yes >/dev/null & read -r line; kill $!; wait $!";

    private readonly Process[] _shells;

    internal Hogs(int count) => _shells =
    [
        .. Enumerable.Range(0, count).Select(static _ =>
            Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Script]) { RedirectStandardInput = true })!),
    ];

    public void Dispose()
    {
        foreach (Process shell in _shells)
        {
            shell.StandardInput.Close();
            shell.WaitForExit();
            shell.Dispose();
        }
    }
}
