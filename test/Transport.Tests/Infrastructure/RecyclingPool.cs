using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>As Kestrel's pool: the owners of the blocks are reused, too.</summary>
internal sealed class RecyclingPool : MemoryPool<byte>, IMemoryPoolFactory<byte>
{
    private readonly ConcurrentQueue<Block> _blocks = new();

    public override int MaxBufferSize => 4096;

    public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new RecyclingPool();

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => _blocks.TryDequeue(out Block? block) ? block : new Block(_blocks);

    protected override void Dispose(bool disposing)
    {
    }

    private sealed class Block(ConcurrentQueue<Block> blocks) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } =
            MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(4096, pinned: true), 0, 4096);

        public void Dispose() => blocks.Enqueue(this);
    }
}
