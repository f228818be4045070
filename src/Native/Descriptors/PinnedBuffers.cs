using System.Buffers;
using System.Diagnostics;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>
/// Pins buffers for the length of one vectored system call, in room that the caller has, on its stack or for good. Dispose of it, also if
/// one cannot be pinned: whose memory it is may be anybody. Where it is pinned already, as the framework's is, this costs nothing.
/// </summary>
internal ref struct PinnedBuffers
{
    private readonly Span<MemoryHandle> _handles;
    private readonly Span<iovec> _vectors;
    private int _count;
    private int _bytes;

    /// <param name="handles">Room for as many buffers as may be added. What is in there is overwritten.</param>
    /// <param name="vectors">The same.</param>
    internal PinnedBuffers(Span<MemoryHandle> handles, Span<iovec> vectors)
    {
        Debug.Assert(vectors.Length >= handles.Length);
        _handles = handles;
        _vectors = vectors;
    }

    internal readonly ReadOnlySpan<iovec> Vectors => _vectors[.._count];

    internal unsafe void Add(ReadOnlyMemory<byte> buffer)
    {
        MemoryHandle handle = buffer.Pin();
        _handles[_count] = handle;
        _vectors[_count++] = new iovec { iov_base = handle.Pointer, iov_len = (nuint)buffer.Length };
    }

    /// <summary>Of a buffer, what the call takes besides the others. False: it takes nothing more.</summary>
    /// <param name="buffer">Of a list that may be longer than the call.</param>
    /// <param name="mostBytes">That the call takes.</param>
    internal bool TryAdd(ReadOnlyMemory<byte> buffer, int mostBytes)
    {
        if (_count == _handles.Length || _bytes == mostBytes)
        {
            return false;
        }

        if (!buffer.IsEmpty)
        {
            buffer = buffer[..Math.Min(buffer.Length, mostBytes - _bytes)];
            Add(buffer);
            _bytes += buffer.Length;
        }

        return true;
    }

    public readonly void Dispose()
    {
        foreach (ref MemoryHandle handle in _handles[.._count])
        {
            handle.Dispose();
            handle = default;
        }
    }
}
