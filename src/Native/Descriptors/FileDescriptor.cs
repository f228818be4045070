using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>
/// An open file that reads and writes through the poller when the kernel can signal its readiness, and on the thread pool when it cannot.
/// One read and one write at a time; further ones queue up behind them. Thread-safe.
/// </summary>
internal sealed partial class FileDescriptor : Descriptor
{
    /// <summary>The kernel takes a little less than 2 GiB in one call anyway; as in Go, larger requests are cut here.</summary>
    internal const int MaxBytesPerCall = 1 << 30;

    private OperationCache<ReadOperation> _reads;
    private OperationCache<WriteOperation> _writes;
    private OperationCache<ScatterReadOperation> _scatterReads;
    private OperationCache<GatherWriteOperation> _gatherWrites;

    private FileDescriptor(int fd, string path, FileAccess access, WorkerGroup group, SystemCalls systemCalls)
        : base(fd, group, systemCalls)
    {
        Path = path;
        Access = access;
    }

    /// <summary>How messages name the file.</summary>
    internal string Path { get; }

    internal FileAccess Access { get; }

    /// <summary>A pipe or FIFO, whose end of file has to be told from "nobody has opened the other end yet".</summary>
    internal bool IsPipe { get; private init; }

    /// <summary>
    /// Takes over an open descriptor: makes it non-blocking and registers it. When the kernel cannot poll it, it stays (or
    /// becomes again) blocking and is served on the thread pool.
    /// </summary>
    /// <exception cref="IOException">The kernel refuses for another reason. The descriptor is closed.</exception>
    internal static FileDescriptor Adopt(int fd, string path, FileAccess access, NetpollRuntime runtime)
    {
        SystemCalls systemCalls = runtime.SystemCalls;
        var file = new FileDescriptor(fd, path, access, runtime.NextGroup(), systemCalls)
        {
            IsPipe = systemCalls.GetPipeSize(fd).IsSuccess,
        };

        SyscallResult flags = systemCalls.GetFlags(fd);
        if (flags.IsSuccess && (flags.Value & LibC.O_NONBLOCK) == 0)
        {
            SyscallResult set = systemCalls.SetFlags(fd, flags.Value | LibC.O_NONBLOCK);
            flags = set.IsError ? set : flags;
        }

        // A descriptor that still blocks would stop a worker, so there is no going on without the flag.
        Errno error = flags.IsSuccess ? file.RegisterOrClose() : flags.Errno;
        if (error != Errno.Success && flags.IsSuccess)
        {
            // Back to what it was: others may share the open file. Regular files get here, which are always "ready" to the kernel.
            systemCalls.SetFlags(fd, error == Errno.EPERM ? flags.Value & ~LibC.O_NONBLOCK : flags.Value);
        }

        if (error is not (Errno.Success or Errno.EPERM))
        {
            file.Close();
            throw SystemErrors.ToIOException(error, flags.IsSuccess ? "epoll_ctl" : "fcntl", path);
        }

        return file;
    }

    /// <summary>
    /// Would a read that finds nothing have to wait, because no writer of the pipe has come yet? Linux hangs a pipe up when its last
    /// writer has gone, and never before its first. To be asked before the read: afterwards, a writer may have come, written and gone.
    /// If the hang-up has happened but was not dispatched yet, its event is on its way, so waiting for it is safe.
    /// </summary>
    internal bool MayHaveNoWriterYet => IsPipe && IsRegistered && !HangupSeen;

    /// <summary>Must the operation wait for readiness after this answer?</summary>
    internal bool MustWait(SyscallResult result) => result.WouldBlock && IsRegistered;

    /// <summary>One read(2). False: there is nothing to read yet.</summary>
    internal bool TryRead(Span<byte> buffer, out SyscallResult read)
    {
        bool mayHaveNoWriterYet = MayHaveNoWriterYet;
        read = SystemCalls.Read(Fd, buffer[..Math.Min(buffer.Length, MaxBytesPerCall)]);
        return !MustWait(read) && !(mayHaveNoWriterYet && read.LongValue == 0);
    }

    internal ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        switch (Lifetime.TryLock(PollMode.Read))
        {
            case DescriptorLifetime.LockResult.Closed:
                throw ClosedException();
            case DescriptorLifetime.LockResult.Busy:
                return ReadQueuedAsync(buffer, cancellationToken);
        }

        return StartRead(buffer, cancellationToken);
    }

    internal ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        switch (Lifetime.TryLock(PollMode.Write))
        {
            case DescriptorLifetime.LockResult.Closed:
                throw ClosedException();
            case DescriptorLifetime.LockResult.Busy:
                return WriteQueuedAsync(buffer, cancellationToken);
        }

        return StartWrite(buffer, cancellationToken);
    }

    internal async ValueTask<long> ReadAsync(IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Read, cancellationToken).ConfigureAwait(false);
        ScatterReadOperation operation = _scatterReads.TryTake() ?? new ScatterReadOperation(this);
        return await operation.Start(buffers, cancellationToken).ConfigureAwait(false);
    }

    internal async ValueTask<long> WriteAsync(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Write, cancellationToken).ConfigureAwait(false);
        GatherWriteOperation operation = _gatherWrites.TryTake() ?? new GatherWriteOperation(this);
        return await operation.Start(buffers, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>See <see cref="PollDescriptor.SetDeadline"/>.</summary>
    internal void SetDeadline(PollMode mode, long deadline)
    {
        if (!Lifetime.TryAddReference())
        {
            throw ClosedException();
        }

        try
        {
            PollDescriptor poll = Poll ?? throw new NotSupportedException(
                $"'{Path}' does not support deadlines: the kernel cannot poll it, so its operations never wait for readiness.");
            Group.SetDeadline(poll, mode, deadline);
        }
        finally
        {
            ReleaseReference();
        }
    }

    internal void Return(ReadOperation operation) => _reads.Return(operation);

    internal void Return(WriteOperation operation) => _writes.Return(operation);

    internal void Return(ScatterReadOperation operation) => _scatterReads.Return(operation);

    internal void Return(GatherWriteOperation operation) => _gatherWrites.Return(operation);

    private Errno RegisterOrClose()
    {
        try
        {
            return Register(hangupWaiter: null);
        }
        catch
        {
            // The runtime has been disposed. The descriptor is ours already.
            Close();
            throw;
        }
    }

    private ValueTask<int> StartRead(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ReadOperation operation = _reads.TryTake() ?? new ReadOperation(this);
        return operation.Start(buffer, cancellationToken);
    }

    private ValueTask<int> StartWrite(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        WriteOperation operation = _writes.TryTake() ?? new WriteOperation(this);
        return operation.Start(buffer, cancellationToken);
    }

    private async ValueTask<int> ReadQueuedAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Read, cancellationToken).ConfigureAwait(false);
        return await StartRead(buffer, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<int> WriteQueuedAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Write, cancellationToken).ConfigureAwait(false);
        return await StartWrite(buffer, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask LockAsync(PollMode mode, CancellationToken cancellationToken)
    {
        if (!await Lifetime.LockAsync(mode, cancellationToken).ConfigureAwait(false))
        {
            throw ClosedException();
        }
    }
}
