using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace FifoTun;

/// <summary>
/// A network of this thread, and of the processes that it starts. It has no name, and so is gone when nothing is left that uses it: nobody
/// has to delete it.
/// </summary>
internal static partial class NetworkNamespace
{
    private const int CLONE_NEWNET = 0x40000000;

    internal static void Enter()
    {
        if (Unshare(CLONE_NEWNET) != 0)
        {
            throw new UnauthorizedAccessException($"unshare: {Marshal.GetLastPInvokeErrorMessage()}. A network namespace needs root.");
        }
    }

    /// <exception cref="Win32Exception">There is no such program.</exception>
    /// <exception cref="IOException">It has failed. What it says is on the standard error.</exception>
    internal static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new IOException($"{program} {string.Join(' ', arguments)}: exit code {process.ExitCode}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);
}
