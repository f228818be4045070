using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Tests.Pipes;

/// <summary>The kernel, counted, and with sends that may take less than they could.</summary>
internal sealed class ScriptedKernel : SystemCalls
{
    private int _sends;
    private int _receives;
    private int _largestReceive;

    internal int Sends => Volatile.Read(ref _sends);

    internal int Receives => Volatile.Read(ref _receives);

    /// <summary>The most bytes that a receive offered room for.</summary>
    internal int LargestReceive => Volatile.Read(ref _largestReceive);

    /// <summary>Sends take at most this many bytes; a short send then says nothing about the socket's buffer.</summary>
    internal int MaxBytesPerSend { get; set; } = int.MaxValue;

    /// <summary>Sends take everything, and throw it away: a peer that is never too slow.</summary>
    internal bool Swallows { get; set; }

    /// <summary>Runs in the middle of the next send.</summary>
    internal Action? DuringNextSend { get; set; }

    /// <summary>What every send and receive fails with while it is set.</summary>
    internal Errno Failure { get; set; }

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        OnSend();
        return Failure != Errno.Success ? SyscallResult.Failure(Failure)
            : Swallows ? SyscallResult.Success(buffer.Length)
            : base.SendOnce(fd, buffer[..Math.Min(buffer.Length, MaxBytesPerSend)], flags);
    }

    protected internal override unsafe SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags)
    {
        OnSend();
        if (Failure != Errno.Success)
        {
            return SyscallResult.Failure(Failure);
        }

        if (Swallows)
        {
            int length = 0;
            foreach (iovec buffer in buffers)
            {
                length += (int)buffer.iov_len;
            }

            return SyscallResult.Success(length);
        }

        return MaxBytesPerSend == int.MaxValue
            ? base.SendMsgOnce(fd, buffers, flags)
            : base.SendOnce(fd, new ReadOnlySpan<byte>(buffers[0].iov_base, Math.Min((int)buffers[0].iov_len, MaxBytesPerSend)), flags);
    }

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
    {
        CountReceive(buffer.Length);
        return Failure != Errno.Success ? SyscallResult.Failure(Failure) : base.RecvOnce(fd, buffer, flags);
    }

    protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers)
    {
        int length = 0;
        foreach (iovec buffer in buffers)
        {
            length += (int)buffer.iov_len;
        }

        CountReceive(length);
        return Failure != Errno.Success ? SyscallResult.Failure(Failure) : base.ReadvOnce(fd, buffers);
    }

    private void OnSend()
    {
        Interlocked.Increment(ref _sends);
        if (DuringNextSend is { } action)
        {
            DuringNextSend = null;
            action();
        }
    }

    private void CountReceive(int length)
    {
        Interlocked.Increment(ref _receives);
        if (length > Volatile.Read(ref _largestReceive))
        {
            Volatile.Write(ref _largestReceive, length);
        }
    }
}
