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
    /// <summary>One send, of as much as one call takes.</summary>
    internal SyscallResult Send(StreamSocket socket) =>
        First == Last ? socket.Send(First.Block.Span[FirstIndex..LastIndex]) : SendMany(socket);

    private SyscallResult SendMany(StreamSocket socket)
    {
        Pieces room = default;
        Span<ReadOnlyMemory<byte>> pieces = room;
        int count = 0;
        for (BufferSegment segment = First; count < pieces.Length; segment = segment.NextSegment!)
        {
            int start = segment == First ? FirstIndex : 0;
            int end = segment == Last ? LastIndex : segment.End;
            if (end > start)
            {
                pieces[count++] = segment.Block[start..end];
            }

            if (segment == Last)
            {
                break;
            }
        }

        return socket.Send(pieces[..count]);
    }

    [InlineArray(StreamSocket.MaxSendBuffers)]
    private struct Pieces
    {
        private ReadOnlyMemory<byte> _first;
    }
}
