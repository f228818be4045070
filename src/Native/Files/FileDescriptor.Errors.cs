using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

// The exceptions that reads, writes and waits end with, whether they are asynchronous or block.
internal sealed partial class FileDescriptor
{
    // As which callers know it.
    private const string PublicName = "NetpollFile";

    internal ObjectDisposedException ClosedException() => ClosedException(Path);

    internal static ObjectDisposedException ClosedException(string path) => new(PublicName, $"The file '{path}' was disposed.");

    /// <summary>What a system call's error means to the caller.</summary>
    internal Exception ToException(PollMode mode, SyscallResult result, string operation, long bytesWritten)
    {
        IOException exception = SystemErrors.ToIOException(result.Errno, operation, Path);

        // The event counts for reads only, as in PollInfo.Check: a full pipe whose reader leaves reports an error and nothing else,
        // too, and is just broken. EBADFD and EPERM are what unattached tun and fuse devices say before the event was dispatched.
        bool isNotPollable = mode == PollMode.Read && Poll is { } poll
            && (poll.Info.Has(PollInfo.EventError) || result.Errno is Errno.EBADFD or Errno.EPERM);
        if (bytesWritten != 0)
        {
            return new PartialWriteException(exception, bytesWritten);
        }

        return isNotPollable
            ? new NotPollableException($"'{Path}' cannot signal readiness: {exception.Message}", exception)
            : exception;
    }

    /// <summary>Why there was no, or no further, attempt.</summary>
    internal Exception ToException(PollResult result, long bytesWritten) => result switch
    {
        PollResult.Closing => ClosedException(),
        PollResult.TimedOut => new DeadlineExceededException(bytesWritten),
        _ => new NotPollableException($"'{Path}' cannot signal readiness: the kernel reports an error for it and nothing else."),
    };

    internal IOException NothingTakenException(string operation) => new($"{operation} '{Path}': the kernel took nothing.");
}
