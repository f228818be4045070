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
    /// After a call that made progress, for an operation that goes on: it would not hear of its end while the other side keeps up with it. True: it
    /// must return. With an error, because its time is up, or the file is closed; or as if it had to wait, and then it is called again at once, unless
    /// it was cancelled.
    /// </summary>
    protected bool MustLookUp(out Exception? error)
    {
        error = null;
        if (!file.IsRegistered || ++_calls % CallsBetweenLooks != 0)
        {
            return false;
        }

        // Asked here: readiness outranks them for whoever is about to park, and there is always some. It is whether it was cancelled that it then
        // looks at. Nobody is parked, so that the edge is left behind.
        PollDescriptor poll = file.Poll!;
        PollResult result = poll.Info.Check(Mode);
        if (result == PollResult.Ready)
        {
            file.Group.Schedule(poll.Wake(Mode));
        }
        else
        {
            error = ToException(result);
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
