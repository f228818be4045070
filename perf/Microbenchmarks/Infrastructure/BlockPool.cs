using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

/// <summary>As Kestrel's pool: pinned blocks of 4 KiB, reused with their owners.</summary>
internal sealed class BlockPool : MemoryPool<byte>
{
    private const int BlockSize = 4096;

    private readonly ConcurrentQueue<Block> _blocks = new();

    public override int MaxBufferSize => BlockSize;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => _blocks.TryDequeue(out Block? block) ? block : new Block(_blocks);

    protected override void Dispose(bool disposing)
    {
    }

    private sealed class Block(ConcurrentQueue<Block> blocks) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } =
            MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(BlockSize, pinned: true), 0, BlockSize);

        public void Dispose() => blocks.Enqueue(this);
    }
}
