using System.Buffers;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// The bytes that the application has written and the kernel has not taken. It is a chain of blocks with two positions: up to where it
/// was sent, and up to where it was flushed. Holds no block once everything is sent. Not synchronized: the writer's lock guards it, but a
/// batch may be sent without it.
/// </summary>
/// <remarks>
/// <code>
///   block of head                      block of tail
///   |-- sent --|-- committed (queued) ------|-- uncommitted --|-- free: the application may be writing here --|
///              _headIndex                   _committedIndex    tail.End
/// </code>
/// The tail is <em>leased</em> from the moment the application gets its memory until the next commit. It may come back to that memory at
/// any time: advance several times, or get the same memory again. A leased tail is never given back.
/// </remarks>
internal sealed class SendBuffer
{
    private const int PreferredBlockSize = 4096;

    private readonly MemoryPool<byte> _pool;
    private readonly int _blockSize;
    private SpareSegments _spares;
    private BufferSegment? _head;
    private BufferSegment? _tail;

    // The segment that the committed bytes end in. Null only when there is no segment.
    private BufferSegment? _committed;
    private int _headIndex;
    private int _committedIndex;
    private bool _leased;
    private long _queuedBytes;
    private long _uncommittedBytes;

    internal SendBuffer(MemoryPool<byte> pool)
    {
        _pool = pool;
        _blockSize = pool.MaxBufferSize > 0 ? Math.Min(pool.MaxBufferSize, PreferredBlockSize) : PreferredBlockSize;
    }

    /// <summary>Committed, and not taken by the kernel yet. May be read without the lock.</summary>
    internal long QueuedBytes => Volatile.Read(ref _queuedBytes);

    /// <summary>Written, and not committed yet. May be read without the lock.</summary>
    internal long UncommittedBytes => Volatile.Read(ref _uncommittedBytes);

    internal Memory<byte> GetMemory(int sizeHint)
    {
        // Fresh memory for a new piece of writing should not be a scrap, unless it is known to do.
        int enough = _leased || sizeHint > 0 ? Math.Max(sizeHint, 1) : _blockSize / 2;
        if (_tail is null || _tail.FreeLength < enough)
        {
            AppendBlock(Math.Max(sizeHint, _blockSize));
        }

        _leased = true;
        return _tail!.Free;
    }

    /// <summary>What was written into the memory handed out last counts; or does not, if it is to be dropped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">More than the memory that was handed out.</exception>
    internal void Advance(int bytes, bool drop = false)
    {
        if ((uint)bytes > (uint)(_leased ? _tail!.FreeLength : 0))
        {
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "More was written than there was memory for.");
        }

        if (bytes != 0 && !drop)
        {
            _tail!.End += bytes;
            Volatile.Write(ref _uncommittedBytes, _uncommittedBytes + bytes);
        }
    }

    /// <summary>Copies bytes in, uncommitted.</summary>
    internal void Write(ReadOnlySpan<byte> source)
    {
        _leased = _tail is not null;
        while (source.Length > 0)
        {
            if (_tail is null || _tail.FreeLength == 0)
            {
                AppendBlock(_blockSize);
            }

            int length = Math.Min(source.Length, _tail!.FreeLength);
            source[..length].CopyTo(_tail.Free.Span);
            Advance(length);
            source = source[length..];
        }
    }

    /// <summary>Queues what was written, and ends the lease: memory handed out before is no longer the application's.</summary>
    internal void Commit()
    {
        _leased = false;
        if (_tail is not null)
        {
            _committed = _tail;
            _committedIndex = _tail.End;
        }

        Volatile.Write(ref _queuedBytes, _queuedBytes + _uncommittedBytes);
        Volatile.Write(ref _uncommittedBytes, 0);
        ReleaseSent();
    }

    /// <summary>All that is queued now. Valid, and stable without the lock, until <see cref="Consume"/> or <see cref="Clear"/>.</summary>
    internal SendBatch GetBatch() => new(_head!, _headIndex, _committed!, _committedIndex);

    /// <summary>The kernel took <paramref name="bytes"/> more.</summary>
    internal void Consume(long bytes)
    {
        Volatile.Write(ref _queuedBytes, _queuedBytes - bytes);
        while (bytes > 0)
        {
            int available = (_head == _committed ? _committedIndex : _head!.End) - _headIndex;
            int taken = (int)Math.Min(bytes, available);
            _headIndex += taken;
            bytes -= taken;
            if (bytes > 0)
            {
                DropHead();
            }
        }

        ReleaseSent();
    }

    /// <summary>
    /// Drops everything that is written, but not the memory that the application has on lease. Throws what the pool throws, once all is
    /// done.
    /// </summary>
    internal void Clear()
    {
        ExceptionDispatchInfo? failure = null;
        while (_head is not null && !(_leased && _head == _tail))
        {
            try
            {
                DropHead();
            }
            catch (Exception e)
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        if (_head is { } leased)
        {
            _committed = leased;
            _headIndex = _committedIndex = leased.End;
        }

        Volatile.Write(ref _queuedBytes, 0);
        Volatile.Write(ref _uncommittedBytes, 0);
        failure?.Throw();
    }

    // Blocks in which everything that was ever written has been sent, and which the application does not have on lease.
    private void ReleaseSent()
    {
        while (_head is { } head && _headIndex == head.End && !(_leased && head == _tail))
        {
            DropHead();
        }
    }

    private void DropHead()
    {
        BufferSegment head = _head!;
        _head = head.NextSegment;
        _headIndex = 0;
        if (_head is null)
        {
            _tail = _committed = null;
            _committedIndex = 0;
        }
        else if (head == _committed)
        {
            // All that is committed was sent: the committed bytes end where the next block begins.
            _committed = _head;
            _committedIndex = 0;
        }

        _spares.Return(head);
    }

    private void AppendBlock(int minimumLength)
    {
        BufferSegment segment = _spares.Take();
        segment.Rent(_pool, minimumLength, position: 0);
        if (_tail is null)
        {
            Debug.Assert(_queuedBytes == 0 && _uncommittedBytes == 0);
            _head = _committed = segment;
            _headIndex = _committedIndex = 0;
        }
        else
        {
            _tail.NextSegment = segment;
        }

        // The old tail may have been sent completely; then only its lease has kept it.
        _tail = segment;
        _leased = true;
        ReleaseSent();
    }
}
