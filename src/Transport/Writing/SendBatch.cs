using System.Buffers;
using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Pipes;

namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// A piece of a <see cref="SendBuffer"/>: everything that was queued at one moment. It may be sent without the lock, because nothing in
/// it changes until the one who sends it says that it was sent: the application only writes behind it.
/// </summary>
internal readonly record struct SendBatch(BufferSegment First, int FirstIndex, BufferSegment Last, int LastIndex)
{
    // Buffers of one system call: 256 KiB of pool blocks. More would not fit into a socket's send buffer anyway.
    private const int MaxBuffers = 64;

    /// <summary>One send, of as much as one call takes.</summary>
    internal SyscallResult Send(StreamSocket socket) =>
        First == Last ? socket.Send(First.Block.Span[FirstIndex..LastIndex]) : SendMany(socket);

    private unsafe SyscallResult SendMany(StreamSocket socket)
    {
        Span<iovec> vectors = stackalloc iovec[MaxBuffers];
        PinnedBuffers pins = default;
        int count = 0;
        try
        {
            for (BufferSegment segment = First; count < MaxBuffers; segment = segment.NextSegment!)
            {
                int start = segment == First ? FirstIndex : 0;
                int end = segment == Last ? LastIndex : segment.End;
                if (end > start)
                {
                    MemoryHandle pin = segment.Block[start..end].Pin();
                    pins[count] = pin;
                    vectors[count] = new iovec { iov_base = pin.Pointer, iov_len = (nuint)(end - start) };
                    count++;
                }

                if (segment == Last)
                {
                    break;
                }
            }

            return socket.Send(vectors[..count]);
        }
        finally
        {
            for (int i = 0; i < count; i++)
            {
                pins[i].Dispose();
            }
        }
    }

    [InlineArray(MaxBuffers)]
    private struct PinnedBuffers
    {
        private MemoryHandle _first;
    }
}
