using System.Buffers;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// What becomes of lists of more buffers than one call takes (<see cref="LibC.IOV_MAX"/>), where a call may be a message: they go through
/// one buffer, so that the message is whole.
/// </summary>
internal static class FileBufferLists
{
    /// <summary>Has the list more buffers with room, or with content, than fit into one call?</summary>
    internal static bool IsTooLong(IReadOnlyList<Memory<byte>> buffers) =>
        buffers.Count > LibC.IOV_MAX && buffers.Count(static buffer => !buffer.IsEmpty) > LibC.IOV_MAX;

    /// <inheritdoc cref="IsTooLong(IReadOnlyList{Memory{byte}})"/>
    internal static bool IsTooLong(IReadOnlyList<ReadOnlyMemory<byte>> buffers) =>
        buffers.Count > LibC.IOV_MAX && buffers.Count(static buffer => !buffer.IsEmpty) > LibC.IOV_MAX;

    /// <summary>All bytes of a list in one rented array.</summary>
    internal static byte[] RentCopy(IReadOnlyList<ReadOnlyMemory<byte>> buffers, out int length)
    {
        length = checked((int)buffers.Sum(static buffer => (long)buffer.Length));
        byte[] copy = ArrayPool<byte>.Shared.Rent(length);
        int offset = 0;
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            buffer.CopyTo(copy.AsMemory(offset));
            offset += buffer.Length;
        }

        return copy;
    }

    /// <summary>An array with as much room as the list has, as far as one call fills it.</summary>
    internal static byte[] RentRoom(IReadOnlyList<Memory<byte>> buffers, out int length)
    {
        length = (int)Math.Min(buffers.Sum(static buffer => (long)buffer.Length), FileDescriptor.MaxBytesPerCall);
        return ArrayPool<byte>.Shared.Rent(length);
    }

    /// <summary>Fills a list in order.</summary>
    internal static void Scatter(ReadOnlySpan<byte> bytes, IReadOnlyList<Memory<byte>> buffers)
    {
        foreach (Memory<byte> buffer in buffers)
        {
            int count = Math.Min(buffer.Length, bytes.Length);
            bytes[..count].CopyTo(buffer.Span);
            bytes = bytes[count..];
            if (bytes.IsEmpty)
            {
                return;
            }
        }
    }
}
