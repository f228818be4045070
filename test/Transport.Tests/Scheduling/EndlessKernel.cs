using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>
/// The kernel, except that the first connection's peer never pauses: whenever it is received from, there is more, and it takes everything
/// that is sent. A real peer, which needs the machine, too, pauses often enough to let others in.
/// </summary>
internal sealed class EndlessKernel(byte[] once, byte[] again) : SystemCalls
{
    private int _endless = -1;
    private int _onceSent;
    private int _position;
    private volatile bool _stopped;

    internal void Stop() => _stopped = true;

    protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        SyscallResult result = base.Accept4Once(fd, address, out addressLength, flags);
        if (result.IsSuccess)
        {
            Interlocked.CompareExchange(ref _endless, result.Value, -1);
        }

        return result;
    }

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
    {
        if (!IsEndless(fd))
        {
            return base.RecvOnce(fd, buffer, flags);
        }

        Fill(buffer);
        return SyscallResult.Success(buffer.Length);
    }

    protected internal override unsafe SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        if (!IsEndless(fd))
        {
            return base.ReadvOnce(fd, buffers);
        }

        long length = 0;
        foreach (iovec buffer in buffers)
        {
            Fill(new Span<byte>(buffer.iov_base, (int)buffer.iov_len));
            length += (int)buffer.iov_len;
        }

        return SyscallResult.Success(length);
    }

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags) =>
        IsEndless(fd) ? SyscallResult.Success(buffer.Length) : base.SendOnce(fd, buffer, flags);

    protected internal override SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        if (!IsEndless(fd))
        {
            return base.SendMsgOnce(fd, buffers, flags);
        }

        long length = 0;
        foreach (iovec buffer in buffers)
        {
            length += (int)buffer.iov_len;
        }

        return SyscallResult.Success(length);
    }

    private bool IsEndless(int fd) => fd == Volatile.Read(ref _endless) && !_stopped;

    private void Fill(Span<byte> buffer)
    {
        int beginning = Math.Min(buffer.Length, once.Length - _onceSent);
        once.AsSpan(_onceSent, beginning).CopyTo(buffer);
        _onceSent += beginning;
        for (buffer = buffer[beginning..]; !buffer.IsEmpty;)
        {
            int count = Math.Min(buffer.Length, again.Length - _position);
            again.AsSpan(_position, count).CopyTo(buffer);
            _position = (_position + count) % again.Length;
            buffer = buffer[count..];
        }
    }
}
