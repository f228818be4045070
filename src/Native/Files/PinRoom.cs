using System.Buffers;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Room for the pinned buffers of one operation, which it keeps: for as many as the kernel takes in one call, since a call may be a
/// message. Not thread-safe.
/// </summary>
internal sealed class PinRoom
{
    private const int FirstSize = 16;

    private MemoryHandle[] _handles = new MemoryHandle[FirstSize];
    private iovec[] _vectors = new iovec[FirstSize];

    /// <summary>Room for so many buffers, if one call takes them. One at a time.</summary>
    internal PinnedBuffers Open(int count)
    {
        if (count > _handles.Length)
        {
            int size = Math.Min(Math.Max(count, _handles.Length * 2), LibC.IOV_MAX);
            Array.Resize(ref _handles, size);
            Array.Resize(ref _vectors, size);
        }

        return new PinnedBuffers(_handles, _vectors);
    }
}
