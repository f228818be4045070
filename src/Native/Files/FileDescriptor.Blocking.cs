using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

// Reads and writes that block the calling thread. They make their system calls on it, and need nobody from the thread pool to go on:
// code that blocks is often what keeps the pool busy. The poller's own thread wakes them, and not poll(2), which would hear neither of
// a close nor of a deadline that is moved.
internal sealed partial class FileDescriptor
{
    // Used by whoever holds the direction's lock.
    private FileBlockedCaller? _blockedReader;
    private FileBlockedCaller? _blockedWriter;

    /// <summary>Reads what is there, blocking until there is something.</summary>
    internal int Read(Span<byte> buffer)
    {
        Lock(PollMode.Read);
        try
        {
            PollResult poll = Prepare(PollMode.Read);
            while (true)
            {
                ThrowUnlessReady(poll, bytesWritten: 0);
                if (TryRead(buffer, out SyscallResult read))
                {
                    return read.IsError ? throw ToException(PollMode.Read, read, "read", bytesWritten: 0) : read.Value;
                }

                poll = Park(PollMode.Read, ref _blockedReader);
            }
        }
        finally
        {
            Unlock(PollMode.Read);
        }
    }

    /// <summary>Writes all of the buffer, blocking while there is no room.</summary>
    internal void Write(ReadOnlySpan<byte> buffer)
    {
        Lock(PollMode.Write);
        try
        {
            PollResult poll = Prepare(PollMode.Write);
            int written = 0;
            while (true)
            {
                // Before each call, and not only before waiting: a reader that keeps up must not hide that the time is up.
                ThrowUnlessReady(poll, written);
                if (buffer.IsEmpty && !Traits.IsMessageSocket)
                {
                    return;
                }

                SyscallResult wrote = SystemCalls.Write(Fd, buffer.Slice(written, Math.Min(buffer.Length - written, MaxBytesPerCall)));
                if (MustWait(wrote))
                {
                    poll = Park(PollMode.Write, ref _blockedWriter);
                    continue;
                }

                if (wrote.IsError)
                {
                    throw ToException(PollMode.Write, wrote, "write", written);
                }

                if (wrote.Value == 0 && !buffer.IsEmpty)
                {
                    throw NothingTakenException("write");
                }

                written += wrote.Value;
                if (written == buffer.Length)
                {
                    return;
                }

                poll = Poll?.Info.Check(PollMode.Write) ?? (IsClosed ? PollResult.Closing : PollResult.Ready);
            }
        }
        finally
        {
            Unlock(PollMode.Write);
        }
    }

    private void Lock(PollMode mode)
    {
        if (!Lifetime.Lock(mode))
        {
            throw ClosedException();
        }
    }

    // Without a poller, the system call itself waits.
    private PollResult Prepare(PollMode mode) => Poll?.Prepare(mode) ?? PollResult.Ready;

    private PollResult Park(PollMode mode, ref FileBlockedCaller? caller)
    {
        PollDescriptor poll = Poll!;
        caller ??= new FileBlockedCaller();
        PollResult result = poll.BeginWait(mode, caller);
        if (result != PollResult.Pending)
        {
            return result;
        }

        caller.Wait();
        return poll.EndWait(mode);
    }

    private void ThrowUnlessReady(PollResult result, long bytesWritten)
    {
        if (result != PollResult.Ready)
        {
            throw ToException(result, bytesWritten);
        }
    }
}
