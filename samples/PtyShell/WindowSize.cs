using System.Runtime.InteropServices;

namespace PtyShell;

/// <summary>How large a terminal is, in characters.</summary>
internal sealed partial record WindowSize(ushort Columns, ushort Rows)
{
    private const nuint TIOCSWINSZ = 0x5414;

    /// <summary>From text such as 80x24.</summary>
    internal static WindowSize? TryParse(string text) =>
        text.Split('x') is [var columns, var rows] && ushort.TryParse(columns, out ushort width) && ushort.TryParse(rows, out ushort height)
            ? new WindowSize(width, height)
            : null;

    /// <summary>The program in the terminal gets SIGWINCH, if that is a change.</summary>
    internal void SetOn(SafeHandle terminal)
    {
        // struct winsize; the last two are pixels, which nobody uses.
        if (SetWindowSize(terminal, TIOCSWINSZ, [Rows, Columns, 0, 0]) != 0)
        {
            throw new IOException($"ioctl: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int SetWindowSize(SafeHandle terminal, nuint request, [In] ushort[] size);
}
