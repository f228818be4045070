using System.Buffers;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Files;

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

    private FileDescriptor(
        int fd, SafeFileHandle? given, string path, FileAccess access, in FileTraits traits, NetpollRuntime runtime)
        : base(fd, runtime.NextGroup(), runtime.SystemCalls)
    {
        _given = given;
        _numberOwner = (object?)given ?? new object();
        Path = path;
        Access = access;
        Traits = traits;
    }

    /// <summary>How messages name the file.</summary>
    internal string Path { get; }

    internal FileAccess Access { get; }

    internal FileTraits Traits { get; }

    /// <summary>
    /// Would a read that finds nothing have to wait, although it gives 0 bytes and not EAGAIN? That of a pipe, as long as no writer has
    /// come yet: Linux hangs a pipe up when its last writer has gone, and never before its first. And that of a terminal that is set to
    /// give nothing rather than to wait, until it is hung up. To be asked before the read: afterwards, a writer may have come, written and
    /// gone. If the hang-up has happened but was not dispatched yet, its event is on its way, so waiting for it is safe.
    /// </summary>
    internal bool MayBeEmptyBeforeItsEnd => (Traits.IsPipe || Traits.IsTerminal) && IsRegistered && !HangupSeen;

    /// <summary>After a read of 0 bytes of which <see cref="MayBeEmptyBeforeItsEnd"/> was true: is it not the end?</summary>
    internal bool IsJustEmpty => Traits.IsPipe || (SystemCalls.GetTerminalMode(Fd, out bool returnsNothing).IsSuccess && returnsNothing);

    /// <summary>Must the operation wait for readiness after this answer?</summary>
    internal bool MustWait(SyscallResult result) => result.WouldBlock && IsRegistered;

    /// <summary>One read(2). False: there is nothing to read yet.</summary>
    internal bool TryRead(Span<byte> buffer, out SyscallResult read)
    {
        bool mayBeEmpty = MayBeEmptyBeforeItsEnd;
        read = SystemCalls.Read(Fd, buffer[..Math.Min(buffer.Length, MaxBytesPerCall)]);
        return !MustWait(read) && !(mayBeEmpty && read.LongValue == 0 && IsJustEmpty);
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
        if (!Traits.IsStream && FileBufferLists.IsTooLong(buffers))
        {
            return await ReadCopiedAsync(buffers, cancellationToken).ConfigureAwait(false);
        }

        await LockAsync(PollMode.Read, cancellationToken).ConfigureAwait(false);
        ScatterReadOperation operation = _scatterReads.TryTake() ?? new ScatterReadOperation(this);
        return await operation.Start(buffers, cancellationToken).ConfigureAwait(false);
    }

    internal async ValueTask<long> WriteAsync(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        if (Traits.IsMessageSocket && buffers.All(static buffer => buffer.IsEmpty))
        {
            // writev(2) sends no empty messages, write(2) does.
            return await WriteAsync(ReadOnlyMemory<byte>.Empty, cancellationToken).ConfigureAwait(false);
        }

        if (!Traits.IsStream && FileBufferLists.IsTooLong(buffers))
        {
            return await WriteCopiedAsync(buffers, cancellationToken).ConfigureAwait(false);
        }

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

    private async ValueTask<long> ReadCopiedAsync(IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken)
    {
        byte[] room = FileBufferLists.RentRoom(buffers, out int length);
        try
        {
            int read = await ReadAsync(room.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            FileBufferLists.Scatter(room.AsSpan(0, read), buffers);
            return read;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(room);
        }
    }

    private async ValueTask<long> WriteCopiedAsync(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        byte[] copy = FileBufferLists.RentCopy(buffers, out int length);
        try
        {
            return await WriteAsync(copy.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }

    private async ValueTask LockAsync(PollMode mode, CancellationToken cancellationToken)
    {
        if (!await Lifetime.LockAsync(mode, cancellationToken).ConfigureAwait(false))
        {
            throw ClosedException();
        }
    }
}
