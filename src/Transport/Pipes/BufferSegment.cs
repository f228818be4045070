using System.Buffers;
using System.Diagnostics;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// A link of a chain of buffers: one block of the memory pool, or one array for requests that are larger than the pool's blocks.
/// </summary>
/// <remarks>
/// <para>Segments are reused: <see cref="Return"/> gives the memory back, and a new block can be <see cref="Rent">rented</see> into the
/// same object later, so that a warm connection allocates nothing.</para>
/// <para>The lock of the buffer that holds the chain guards every write. <see cref="Block"/> does not change between rent and return, and
/// growing <see cref="End"/> rewrites only the length within <see cref="ReadOnlySequenceSegment{T}.Memory"/>; this is why a sequence
/// handed out earlier, and a send in flight, may be read without the lock while the chain grows behind them.</para>
/// </remarks>
internal sealed class BufferSegment : ReadOnlySequenceSegment<byte>
{
    // An IMemoryOwner<byte> of the pool, or a byte[] of the shared array pool: one field, because every connection holds segments.
    private object? _source;
    private int _end;

    /// <summary>The whole block, used or not.</summary>
    public Memory<byte> Block { get; private set; }

    /// <summary>How many bytes from the start of the block are in use.</summary>
    public int End
    {
        get => _end;
        set
        {
            Debug.Assert((uint)value <= (uint)Block.Length);
            _end = value;
            Memory = Block[..value];
        }
    }

    /// <summary>The part of the block behind <see cref="End"/>.</summary>
    public Memory<byte> Free => Block[_end..];

    /// <summary>The length of <see cref="Free"/>.</summary>
    public int FreeLength => Block.Length - _end;

    /// <summary>The position of the byte behind the last used one, counted from the start of the stream.</summary>
    public long EndPosition => RunningIndex + _end;

    /// <summary>The next link of the chain, or of the list of spare segments.</summary>
    public BufferSegment? NextSegment
    {
        get => (BufferSegment?)Next;
        set => Next = value;
    }

    /// <summary>
    /// Takes memory of at least <paramref name="minimumLength"/> bytes: from the pool if its blocks can be that large, otherwise
    /// from the shared array pool. A pool that names no maximum is taken to have none. <paramref name="position"/> is the position
    /// of the first byte in the stream.
    /// </summary>
    public void Rent(MemoryPool<byte> pool, int minimumLength, long position)
    {
        Debug.Assert(_source is null);
        if (pool.MaxBufferSize is var maximum && (maximum <= 0 || minimumLength <= maximum))
        {
            IMemoryOwner<byte> owner = pool.Rent(minimumLength);
            _source = owner;
            Block = owner.Memory;
        }
        else
        {
            byte[] array = ArrayPool<byte>.Shared.Rent(minimumLength);
            _source = array;
            Block = array;
        }

        RunningIndex = position;
        End = 0;
    }

    /// <summary>Empties the block, which stays, for another position of the stream.</summary>
    public void Rewind(long position)
    {
        RunningIndex = position;
        End = 0;
    }

    /// <summary>Gives the memory back and unlinks the segment. Spans and sequences over it are invalid from now on.</summary>
    public void Return()
    {
        object? source = _source;
        Debug.Assert(source is not null, "A block must be returned exactly once.");
        _source = null;
        _end = 0;
        Block = default;
        Memory = default;
        Next = null;
        if (source is IMemoryOwner<byte> owner)
        {
            owner.Dispose();
        }
        else if (source is byte[] array)
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }
}
