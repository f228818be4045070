using System.Buffers;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Pins a list of buffers for the length of one vectored system call: as many as the kernel takes in one, since a call may be a message.
/// Not thread-safe; belongs to one operation.
/// </summary>
internal sealed class PinnedBuffers
{
    private const int FirstSize = 16;

    private MemoryHandle[] _handles = new MemoryHandle[FirstSize];
    private iovec[] _vectors = new iovec[FirstSize];
    private int _count;

    internal bool IsFull => _count == LibC.IOV_MAX;

    internal ReadOnlySpan<iovec> Vectors => _vectors.AsSpan(0, _count);

    internal unsafe void Add(ReadOnlyMemory<byte> buffer)
    {
        if (_count == _vectors.Length)
        {
            int size = Math.Min(_count * 2, LibC.IOV_MAX);
            Array.Resize(ref _handles, size);
            Array.Resize(ref _vectors, size);
        }

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
