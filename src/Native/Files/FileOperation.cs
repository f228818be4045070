using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

/// <summary>What reads and writes of a file have in common: the exceptions they end with.</summary>
/// <typeparam name="TResult">What the operation yields.</typeparam>
internal abstract class FileOperation<TResult>(FileDescriptor file, PollMode mode) : PollOperation<TResult>(file, mode)
{
    private const int CallsBetweenLooks = 16;

    private int _calls;

    protected FileDescriptor File => file;

    /// <summary>Bytes moved so far, reported with whatever ends the write on the way. 0 for reads.</summary>
    protected virtual long BytesWritten => 0;

    /// <summary>Must the operation wait for readiness after this answer?</summary>
    protected bool MustWait(SyscallResult result) => file.MustWait(result);

    /// <summary>
    /// After a call that made progress, for an operation that goes on: it would not hear of its end while the other side keeps up with it.
    /// True: it must return. With an error, because its time is up, or the file is closed; or as if it had to wait, and then it is called
    /// again at once, unless it was cancelled.
    /// </summary>
    protected bool MustLookUp(out Exception? error)
    {
        error = null;
        if (!file.IsRegistered || ++_calls % CallsBetweenLooks != 0)
        {
            return false;
        }

        // Asked here: readiness outranks them for whoever is about to park, and there is always some. It is whether it was cancelled that
        // it then looks at. Nobody is parked, so that the edge is left behind.
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

    protected Exception ToException(SyscallResult result, string operation) =>
        file.ToException(Mode, result, operation, BytesWritten);

    protected sealed override Exception ToException(PollResult result) => file.ToException(result, BytesWritten);

    protected sealed override OperationCanceledException CanceledException(CancellationToken cancellationToken) =>
        BytesWritten == 0 ? base.CanceledException(cancellationToken) : new PartialWriteCanceledException(BytesWritten, cancellationToken);
}
