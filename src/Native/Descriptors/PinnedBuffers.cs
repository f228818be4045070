using System.Buffers;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>Pins a list of buffers for the length of one vectored system call. Not thread-safe; belongs to one operation.</summary>
internal sealed class PinnedBuffers
{
    /// <summary>Buffers per call. The kernel allows 1,024; beyond some dozens a call costs more than it saves.</summary>
    private const int MaxBuffers = 64;

    private readonly MemoryHandle[] _handles = new MemoryHandle[MaxBuffers];
    private readonly iovec[] _vectors = new iovec[MaxBuffers];
    private int _count;

    internal bool IsFull => _count == MaxBuffers;

    internal ReadOnlySpan<iovec> Vectors => _vectors.AsSpan(0, _count);

    internal unsafe void Add(ReadOnlyMemory<byte> buffer)
    {
        MemoryHandle handle = buffer.Pin();
        _handles[_count] = handle;
        _vectors[_count++] = new iovec { iov_base = handle.Pointer, iov_len = (nuint)buffer.Length };
    }

    internal void Unpin()
    {
        for (int i = 0; i < _count; i++)
        {
            _handles[i].Dispose();
            _handles[i] = default;
            _vectors[i] = default;
        }

        _count = 0;
    }
}
