using System.Buffers;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// A pool that makes mistakes visible: a block that is returned twice, or returned while it is pinned, or used after it was returned,
/// throws there and then, and whatever was written or read through an old span is 0xDD. Its memory is no array, as anybody's may be.
/// </summary>
internal sealed class DiagnosticMemoryPool(int blockSize = 4096) : MemoryPool<byte>
{
    private int _rentedBlocks;
    private long _totalRents;

    public override int MaxBufferSize => blockSize;

    internal int RentedBlocks => Volatile.Read(ref _rentedBlocks);

    internal long TotalRents => Volatile.Read(ref _totalRents);

    /// <summary>When set, renting throws it.</summary>
    internal Exception? Failure { get; set; }

    /// <summary>When set, pinning throws it.</summary>
    internal Exception? PinFailure { get; set; }

    /// <summary>When set, returning throws it, once it is done.</summary>
    internal Exception? ReturnFailure { get; set; }

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, blockSize);
        if (Failure is { } failure)
        {
            throw failure;
        }

        Interlocked.Increment(ref _rentedBlocks);
        Interlocked.Increment(ref _totalRents);
        return new Block(this, blockSize);
    }

    protected override void Dispose(bool disposing)
    {
    }

    private sealed class Block(DiagnosticMemoryPool pool, int size) : MemoryManager<byte>
    {
        private const byte Poison = 0xDD;

        private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        private int _returned;
        private int _pins;

        public override Span<byte> GetSpan()
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _returned) != 0, this);
            return _bytes;
        }

        public override unsafe MemoryHandle Pin(int elementIndex = 0)
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _returned) != 0, this);
            if (pool.PinFailure is { } failure)
            {
                throw failure;
            }

            Interlocked.Increment(ref _pins);
            return new MemoryHandle((byte*)Marshal.UnsafeAddrOfPinnedArrayElement(_bytes, elementIndex), default, this);
        }

        public override void Unpin() => Interlocked.Decrement(ref _pins);

        protected override void Dispose(bool disposing)
        {
            if (Interlocked.Exchange(ref _returned, 1) != 0)
            {
                throw new InvalidOperationException("A block was returned twice.");
            }

            if (Volatile.Read(ref _pins) != 0)
            {
                throw new InvalidOperationException("A block was returned while it was pinned.");
            }

            Array.Fill(_bytes, Poison);
            Interlocked.Decrement(ref pool._rentedBlocks);
            if (pool.ReturnFailure is { } failure)
            {
                throw failure;
            }
        }
    }
}
