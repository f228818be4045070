using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>
/// The bytes that a connection has received and the application has not consumed: a chain of pool blocks, which is empty, and then
/// holds no block at all, whenever everything has been consumed. Not synchronized: the reader's lock guards it.
/// </summary>
/// <remarks>
/// Three positions, all counted from the start of the stream, tell everything:
/// <code>
///   consumed ≤ examined ≤ received      (examined may move back when the application says so)
///   |--------- what the application gets ---------|
///              |--- "unexamined": a read returns at once
/// </code>
/// </remarks>
internal sealed class ReceiveBuffer
{
    /// <summary>Of one block, unless the pool's are smaller. What Kestrel assumes of a transport.</summary>
    internal const int PreferredBlockSize = 4096;

    /// <summary>The most blocks that one receive offers: 64 KiB.</summary>
    internal const int MaxBlocks = StreamSocket.MaxReceiveBuffers;

    private readonly MemoryPool<byte> _pool;
    private readonly int _blockSize;

    // A connection that waits may hold a block, so that the next receive need not rent one.
    private readonly bool _keepsBlock;
    private BufferSegment? _kept;
    private SpareSegments _spares;
    private BufferSegment? _head;
    private BufferSegment? _tail;
    private long _consumed;
    private long _examined;
    private long _received;

    // How many blocks the next receive offers: doubled when one was filled to the brim, halved when less than half was used.
    private int _blocks = 1;

    internal ReceiveBuffer(MemoryPool<byte> pool, bool keepsBlock = false)
    {
        _pool = pool;
        _keepsBlock = keepsBlock;
        _blockSize = pool.MaxBufferSize > 0 ? Math.Min(pool.MaxBufferSize, PreferredBlockSize) : PreferredBlockSize;
    }

    /// <summary>May be read without the lock by the thread that called <see cref="AdvanceTo"/> last.</summary>
    internal bool HasUnexaminedBytes => Volatile.Read(ref _received) > Volatile.Read(ref _examined);

    internal long UnexaminedBytes => _received - _examined;

    internal long UnconsumedBytes => _received - _consumed;

    internal ReadOnlySequence<byte> Unconsumed => _head is null
        ? default
        : new ReadOnlySequence<byte>(_head, (int)(_consumed - _head.RunningIndex), _tail!, _tail!.End);

    /// <summary>
    /// One receive. <paramref name="room"/> bounds how many blocks are offered, but some space always is: a reader that needs more
    /// data than the limit would wait forever otherwise.
    /// </summary>
    /// <param name="socket">The socket to receive from.</param>
    /// <param name="room">How many bytes the buffer may still grow by; may be negative.</param>
    /// <param name="filled">Whether all the space offered was used, so that more may be waiting.</param>
    internal SyscallResult Receive(StreamSocket socket, long room, out bool filled)
    {
        // A small rest of the tail is not worth a system call.
        int free = _tail?.FreeLength ?? 0;
        if (free < _blockSize / 2)
        {
            free = 0;
        }

        int blocks = (int)Math.Clamp(room / _blockSize, 1, _blocks);
        return blocks == 1 ? ReceiveOne(socket, free, out filled) : ReceiveMany(socket, free, blocks, out filled);
    }

    /// <exception cref="InvalidOperationException">A position is not one of the last result's, or they are in the wrong order.</exception>
    internal void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        // A default position says nothing new. It is what an empty result has.
        long consumedTo = PositionOf(consumed) ?? _consumed;
        long examinedTo = PositionOf(examined) ?? Math.Max(_examined, consumedTo);
        if (consumedTo < _consumed || consumedTo > examinedTo || examinedTo > _received)
        {
            throw new InvalidOperationException(
                "The position is not within the buffer of the last read, or less was examined than consumed.");
        }

        _consumed = consumedTo;
        Volatile.Write(ref _examined, examinedTo);
        while (_head is { } head && head.EndPosition <= consumedTo)
        {
            _head = head.NextSegment;
            Return(head);
        }

        if (_head is null)
        {
            _tail = null;
        }
    }

    /// <summary>
    /// Drops everything. Sequences handed out before are invalid from now on. Throws what the pool throws, once all is done.
    /// </summary>
    internal void Clear()
    {
        ExceptionDispatchInfo? failure = null;
        _tail = null;
        while ((_head ?? _kept) is { } segment)
        {
            if (_head is null)
            {
                _kept = null;
            }
            else
            {
                _head = segment.NextSegment;
            }

            try
            {
                _spares.Return(segment);
            }
            catch (Exception e)
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        _consumed = _received;
        Volatile.Write(ref _examined, _received);
        failure?.Throw();
    }

    private static long? PositionOf(SequencePosition position) => position.GetObject() switch
    {
        null => null,
        BufferSegment segment => segment.RunningIndex + position.GetInteger(),
        _ => throw new InvalidOperationException("The position belongs to another sequence."),
    };

    private SyscallResult ReceiveOne(StreamSocket socket, int free, out bool filled)
    {
        SyscallResult result;
        if (free != 0)
        {
            result = socket.Receive(_tail!.Free.Span);
            filled = Commit(_tail, result.IsSuccess ? result.Value : 0, free);
            return result;
        }

        BufferSegment segment = Rent(_received);
        result = socket.Receive(segment.Block.Span);
        if (result.IsSuccess && result.Value > 0)
        {
            Append(segment);
            filled = Commit(segment, result.Value, segment.Block.Length);
        }
        else
        {
            filled = false;
            Return(segment);
        }

        return result;
    }

    private SyscallResult ReceiveMany(StreamSocket socket, int free, int blocks, out bool filled)
    {
        Blocks room = default;
        Span<Memory<byte>> offer = room;
        BufferSegment? first = null;
        BufferSegment? last = null;
        int count = 0;
        int offered = 0;
        try
        {
            if (free != 0)
            {
                offer[count++] = _tail!.Free;
                offered = free;
            }

            while (count < blocks)
            {
                BufferSegment segment = Rent(_received + offered);
                if (last is null)
                {
                    first = segment;
                }
                else
                {
                    last.NextSegment = segment;
                }

                last = segment;
                offer[count++] = segment.Block;
                offered += segment.Block.Length;
            }

            SyscallResult result = socket.Receive(offer[..count]);
            int received = result.IsSuccess ? result.Value : 0;
            filled = received == offered;
            Resize(received, offered);
            if (free != 0)
            {
                received -= Fill(_tail!, received);
            }

            while (received > 0)
            {
                BufferSegment segment = first!;
                first = segment.NextSegment;
                Append(segment);
                received -= Fill(segment, received);
            }

            return result;
        }
        finally
        {
            // What was not used, or, if the pool threw, everything.
            while (first is { } segment)
            {
                first = segment.NextSegment;
                _spares.Return(segment);
            }
        }
    }

    private void Return(BufferSegment segment)
    {
        if (_keepsBlock && _kept is null)
        {
            segment.NextSegment = null;
            _kept = segment;
        }
        else
        {
            _spares.Return(segment);
        }
    }

    private BufferSegment Rent(long position)
    {
        if (_kept is { } kept)
        {
            _kept = null;
            kept.Rewind(position);
            return kept;
        }

        BufferSegment segment = _spares.Take();
        segment.Rent(_pool, _blockSize, position);
        return segment;
    }

    private void Append(BufferSegment segment)
    {
        Debug.Assert(segment.RunningIndex == _received);
        segment.NextSegment = null;
        if (_tail is null)
        {
            _head = segment;
        }
        else
        {
            _tail.NextSegment = segment;
        }

        _tail = segment;
    }

    private bool Commit(BufferSegment segment, int received, int offered)
    {
        Fill(segment, received);
        Resize(received, offered);
        return received == offered;
    }

    private int Fill(BufferSegment segment, int received)
    {
        int length = Math.Min(received, segment.FreeLength);
        segment.End += length;
        Volatile.Write(ref _received, _received + length);
        return length;
    }

    // A receive that got nothing says nothing about the sizes to come.
    private void Resize(int received, int offered)
    {
        if (received == 0)
        {
            return;
        }

        if (received == offered)
        {
            _blocks = Math.Min(_blocks * 2, MaxBlocks);
        }
        else if (received < offered / 2)
        {
            _blocks = Math.Max(_blocks / 2, 1);
        }
    }

    [InlineArray(MaxBlocks)]
    private struct Blocks
    {
        private Memory<byte> _first;
    }
}
