using System.Globalization;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Opens what somebody else's descriptor refers to once more, through /proc: the open file that comes of it is ours alone, and being
/// non-blocking is its business only. stdin, stdout and stderr usually share theirs with the shell and with every child process.
/// </summary>
internal static class FileReopening
{
    /// <summary>Another descriptor for the same pipe or terminal, non-blocking; an error where there can be none.</summary>
    internal static SyscallResult TryReopen(int fd, int flags, in FileTraits traits, SystemCalls systemCalls)
    {
        // Only these give the same thing when they are opened again. A pseudo-terminal's master gives another terminal, and most
        // devices a state of their own.
        bool isSafe = traits.IsPipe || (traits.IsTerminal && systemCalls.GetTerminalNumber(fd, out _).IsError);
        if (!isSafe)
        {
            return SyscallResult.Failure(Errno.ENXIO);
        }

        string path = $"/proc/self/fd/{fd.ToString(CultureInfo.InvariantCulture)}";
        SyscallResult opened = systemCalls.Open(path, (flags & LibC.O_ACCMODE) | LibC.O_NONBLOCK | LibC.O_NOCTTY, mode: 0);
        if (opened.IsError)
        {
            return opened;
        }

        if (IsSameFile(opened.Value, traits, systemCalls)
            && HasFlags(opened.Value, flags, systemCalls)
            && !HasMissedHangup(fd, opened.Value, systemCalls))
        {
            return opened;
        }

        systemCalls.Close(opened.Value);
        return SyscallResult.Failure(Errno.ENXIO);
    }

    // /proc may be another process's view, or a stranger may have the number by now.
    private static bool IsSameFile(int fd, in FileTraits traits, SystemCalls systemCalls) =>
        systemCalls.GetStatus(fd, out FileStatus status).IsSuccess && status.Identity == traits.Identity;

    // Such as O_DIRECT, which makes packets of what is written to a pipe.
    private static bool HasFlags(int fd, int flags, SystemCalls systemCalls) =>
        systemCalls.GetFlags(fd) is { IsSuccess: true } has && (flags & ~has.Value) == 0;

    // A FIFO that is opened after its last writer has left is not at its end yet, but waits for the next writer. The descriptor that we
    // were given may know better. In this order: a writer that leaves after the opening is seen by both.
    private static bool HasMissedHangup(int given, int reopened, SystemCalls systemCalls)
    {
        systemCalls.Poll(given, LibC.POLLIN, out short seen);
        systemCalls.Poll(reopened, LibC.POLLIN, out short seenAgain);
        return (seen & LibC.POLLHUP) != 0 && (seenAgain & LibC.POLLHUP) == 0;
    }
}
