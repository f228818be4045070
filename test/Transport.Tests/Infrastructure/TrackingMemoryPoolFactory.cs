using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>Makes pools that know how many of their blocks are rented, and that poison a block when it comes back.</summary>
internal sealed class TrackingMemoryPoolFactory : IMemoryPoolFactory<byte>
{
    private readonly ConcurrentQueue<Pool> _pools = new();

    internal IReadOnlyCollection<string?> Owners => [.. _pools.Select(static pool => pool.Owner)];

    internal int RentedBlocks => _pools.Sum(static pool => pool.Rented);

    /// <summary>Pools that were disposed of while a block was out, and blocks that were asked for afterwards.</summary>
    internal int UsesAfterDisposal => _pools.Sum(static pool => pool.UsesAfterDisposal);

    internal int DisposedPools => _pools.Count(static pool => pool.IsDisposed);

    internal long TotalRents => _pools.Sum(static pool => pool.TotalRents);

    public MemoryPool<byte> Create(MemoryPoolOptions? options = null)
    {
        var pool = new Pool(options?.Owner);
        _pools.Enqueue(pool);
        return pool;
    }

    internal Task AllReturnedAsync() => Patience.UntilAsync(() => RentedBlocks == 0, "all blocks are back in the pool");

    private sealed class Pool(string? owner) : MemoryPool<byte>
    {
        private int _rented;
        private long _totalRents;
        private int _usesAfterDisposal;
        private volatile bool _disposed;

        internal bool IsDisposed => _disposed;

        internal int UsesAfterDisposal => Volatile.Read(ref _usesAfterDisposal);

        internal string? Owner => owner;

        internal int Rented => Volatile.Read(ref _rented);

        internal long TotalRents => Volatile.Read(ref _totalRents);

        public override int MaxBufferSize => 4096;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, MaxBufferSize);
            if (_disposed)
            {
                Interlocked.Increment(ref _usesAfterDisposal);
            }

            Interlocked.Increment(ref _rented);
            Interlocked.Increment(ref _totalRents);
            return new Block(this);
        }

        protected override void Dispose(bool disposing)
        {
            _disposed = true;
            if (Rented != 0)
            {
                Interlocked.Increment(ref _usesAfterDisposal);
            }
        }

        private sealed class Block(Pool pool) : IMemoryOwner<byte>
        {
            private byte[]? _bytes = GC.AllocateUninitializedArray<byte>(4096, pinned: true);

            public Memory<byte> Memory => _bytes ?? throw new ObjectDisposedException(nameof(Block));

            public void Dispose()
            {
                byte[] bytes = Interlocked.Exchange(ref _bytes, null) ?? throw new InvalidOperationException("A block was returned twice.");

                // Who reads it after having returned it reads nonsense.
                Array.Fill(bytes, (byte)0xDD);
                Interlocked.Decrement(ref pool._rented);
            }
        }
    }
}
