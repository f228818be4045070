using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

// Waiting without reading or writing.
internal sealed partial class FileDescriptor
{
    // Guards _watch while it is made.
    private readonly Lock _watchLock = new();
    private FilePriorityWatch? _watch;

    /// <summary>Waits until a read, or a write, would not. One that cannot be polled is always ready.</summary>
    internal async ValueTask WaitAsync(PollMode mode, CancellationToken cancellationToken)
    {
        await LockAsync(mode, cancellationToken).ConfigureAwait(false);
        if (!IsRegistered)
        {
            Unlock(mode);
            return;
        }

        await new ReadinessOperation(this, mode).Start(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for an exceptional condition.</summary>
    internal ValueTask WaitForPriorityAsync(CancellationToken cancellationToken)
    {
        if (!Lifetime.TryAddReference())
        {
            throw ClosedException();
        }

        try
        {
            FilePriorityWatch watch;
            lock (_watchLock)
            {
                watch = _watch ??= FilePriorityWatch.Start(this);
            }

            // What stays until it is read, such as urgent data, is told each time.
            bool isThere = SystemCalls.Poll(Fd, LibC.POLLPRI, out short events).IsSuccess && (events & LibC.POLLPRI) != 0;
            if (isThere)
            {
                // Some are told once: then nobody else learns of it.
                watch.TellWaiters();
                return ValueTask.CompletedTask;
            }

            return new ValueTask(watch.WaitAsync(this, cancellationToken));
        }
        finally
        {
            ReleaseReference();
        }
    }

    /// <summary>Closes the file, and ends whatever waits.</summary>
    internal void CloseFile()
    {
        Close();
        FilePriorityWatch? watch;
        lock (_watchLock)
        {
            watch = _watch;
        }

        // One that is being made now is closed with the number: its maker holds a reference.
        watch?.Close();
    }
}
