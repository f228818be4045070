using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>What reads and writes of a file have in common: the exceptions they end with.</summary>
/// <typeparam name="TResult">What the operation yields.</typeparam>
internal abstract class FileOperation<TResult>(FileDescriptor file, PollMode mode) : PollOperation<TResult>(file, mode)
{
    /// <summary>The kernel takes a little less than 2 GiB in one call anyway; as in Go, larger requests are cut here.</summary>
    protected const int MaxBytesPerCall = 1 << 30;

    private const int CallsBetweenLooks = 16;

    private int _calls;

    protected FileDescriptor File => file;

    /// <summary>Bytes moved so far, reported with a deadline that passed on the way. 0 for reads.</summary>
    protected virtual long BytesWritten => 0;

    /// <summary>Must the operation wait for readiness after this answer?</summary>
    protected bool MustWait(SyscallResult result) => result.WouldBlock && file.IsRegistered;

    /// <summary>
    /// After a call that made progress, for an operation that goes on. True: it must return as if it had to wait, and is called again at once,
    /// unless it was cancelled, its time is up, or the file is closed. It would not hear of that while the other side keeps up with it.
    /// </summary>
    protected bool MustLookUp()
    {
        if (!file.IsRegistered || ++_calls % CallsBetweenLooks != 0)
        {
            return false;
        }

        // Whoever is about to park is told that the time is up or the file closed, unless there is an edge; and looks whether it was
        // cancelled only if there is one. Nobody is parked, so it is left behind.
        if (file.Poll is { } poll && poll.Info.Check(Mode) == PollResult.Ready)
        {
            file.Group.Schedule(poll.Wake(Mode));
        }

        return true;
    }

    protected Exception ToException(SyscallResult result, string operation)
    {
        IOException exception = SystemErrors.ToIOException(result.Errno, operation, file.Path);

        // The event counts for reads only, as in PollInfo.Check: a full pipe whose reader leaves reports an error and nothing else,
        // too, and is just broken. EBADFD and EPERM are what unattached tun and fuse devices say before the event was dispatched.
        bool isNotPollable = Mode == PollMode.Read && file.Poll is { } poll
            && (poll.Info.Has(PollInfo.EventError) || result.Errno is Errno.EBADFD or Errno.EPERM);
        return isNotPollable
            ? new NotPollableException($"'{file.Path}' cannot signal readiness: {exception.Message}", exception)
            : exception;
    }

    protected sealed override Exception ToException(PollResult result) => result switch
    {
        PollResult.Closing => file.ClosedException(),
        PollResult.TimedOut => new DeadlineExceededException(BytesWritten),
        _ => new NotPollableException($"'{file.Path}' cannot signal readiness: the kernel reports an error for it and nothing else."),
    };
}
