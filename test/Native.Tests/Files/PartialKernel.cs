using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// The real kernel, except that a read or write moves at most so many bytes: what a busy system may do now and then, done always. The
/// wake-up descriptor's eight bytes are left alone.
/// </summary>
/// <param name="random">Decides how many bytes, from 1 to <paramref name="limit"/>.</param>
/// <param name="limit">The most bytes per call.</param>
internal sealed class PartialKernel(Random random, int limit) : SystemCalls
{
    private const int WakeUpLength = 8;

    private readonly Lock _lock = new();

    internal int Calls { get; private set; }

    protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer) =>
        buffer.Length == WakeUpLength ? base.ReadOnce(fd, buffer) : base.ReadOnce(fd, buffer[..Cut(buffer.Length)]);

    protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer) =>
        buffer.Length == WakeUpLength ? base.WriteOnce(fd, buffer) : base.WriteOnce(fd, buffer[..Cut(buffer.Length)]);

    protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers) => base.ReadvOnce(fd, Cut(buffers));

    protected internal override SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers) => base.WritevOnce(fd, Cut(buffers));

    private int Cut(int length)
    {
        lock (_lock)
        {
            Calls++;
            return Math.Min(length, random.Next(1, limit + 1));
        }
    }

    private ReadOnlySpan<iovec> Cut(ReadOnlySpan<iovec> buffers)
    {
        int left = Cut(int.MaxValue);
        List<iovec> cut = [];
        foreach (iovec buffer in buffers)
        {
            iovec part = buffer;
            part.iov_len = (nuint)Math.Min((int)buffer.iov_len, left);
            left -= (int)part.iov_len;
            if (part.iov_len != 0)
            {
                cut.Add(part);
            }
        }

        return cut.ToArray();
    }
}
