using System.Net;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A connected, non-blocking stream socket, for callers that bring their own buffers and turns. The I/O methods never wait and
/// may be called from any thread, also while the socket is being closed: they then report EBADF.
/// </summary>
internal sealed partial class StreamSocket : Descriptor
{
    private readonly SocketAddressBytes _remoteAddress;
    private Turn? _hangupTurn;

    internal StreamSocket(int fd, WorkerGroup group, SystemCalls systemCalls, in SocketAddressBytes remoteAddress = default)
        : base(fd, group, systemCalls) =>
        _remoteAddress = remoteAddress;

    /// <summary>
    /// The peer, as accept or connect gave it; the name of a Unix peer, which few have, is asked for and is lost with the close. Null when
    /// it has no address (a socket pair). Parsed at each call.
    /// </summary>
    internal EndPoint? RemoteEndPoint => (_remoteAddress.IsNamedUnix ? GetEndPoint(ofPeer: true) : null) ?? _remoteAddress.ToEndPoint();

    /// <summary>This side's address. Asks the kernel at each call. Null after a close.</summary>
    internal EndPoint? GetLocalEndPoint() => GetEndPoint(ofPeer: false);

    /// <summary>
    /// Does a receive that got less than it asked for show that there is nothing more, as long as no hang-up was seen? Not from a Unix socket,
    /// where a receive stops behind bytes that came with descriptors; nor once urgent data was seen, where it stops in front of the mark. That is looked at
    /// after the receive: an event that tells of urgent data is recorded before it wakes, and if it comes later, it is another edge.
    /// </summary>
    internal bool ShortReadDrains => !_remoteAddress.IsUnix && !UrgentSeen;

    /// <summary>May there be more behind a receive that got less than it asked for, of which no edge will tell?</summary>
    internal bool UrgentSeen => Poll is { UrgentSeen: true };

    /// <summary>Sticky: both directions have ended, or an error was reported.</summary>
    internal bool GoneSeen => Poll is { GoneSeen: true };

    /// <summary>
    /// Scheduled once, when <see cref="Descriptor.HangupSeen"/> first becomes true, unless a reader waits, which finds out itself.
    /// Set before <see cref="Start"/>. Like any turn it may come spuriously. If it is an <see cref="UnreadInput"/>, it is told of whatever comes
    /// later, or before, without a reader that waits.
    /// </summary>
    internal void SetHangupTurn(Turn turn) => _hangupTurn = turn;

    /// <summary>A reader has stopped early: there may be input of which no edge will tell. Any thread.</summary>
    internal void OnInputLeft()
    {
        if (_hangupTurn is UnreadInput input)
        {
            Group.OnUnread(input);
        }
    }

    /// <summary>Takes the socket's pending error out of the kernel. Success if there is none. Not after a close.</summary>
    internal Errno TakeError()
    {
        if (!Lifetime.TryAddReference())
        {
            return Errno.EBADF;
        }

        SyscallResult result = SystemCalls.GetSockOpt(Fd, LibC.SOL_SOCKET, LibC.SO_ERROR, out int error);
        ReleaseReference();
        return result.IsError ? result.Errno : (Errno)error;
    }

    /// <summary>Registers with the group's poller; waiting is possible from here on.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel refuses (too many epoll watches), or it is closed.</exception>
    internal void Start()
    {
        Errno error = Register(_hangupTurn, PollInterest.Socket);
        if (error != Errno.Success)
        {
            throw SystemErrors.ToSocketException(error);
        }
    }

    internal SyscallResult Receive(Span<byte> buffer)
    {
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        SyscallResult result = SystemCalls.Recv(Fd, buffer, flags: 0);
        ReleaseReference();
        return result;
    }

    internal SyscallResult Receive(ReadOnlySpan<iovec> buffers)
    {
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        SyscallResult result = SystemCalls.Readv(Fd, buffers);
        ReleaseReference();
        return result;
    }

    /// <summary>1: there is data. 0: end of stream. Takes nothing out, except a pending error, which is reported once.</summary>
    internal SyscallResult Peek()
    {
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        Span<byte> one = stackalloc byte[1];
        SyscallResult result = SystemCalls.Recv(Fd, one, LibC.MSG_PEEK);
        ReleaseReference();
        return result;
    }

    internal SyscallResult Send(ReadOnlySpan<byte> buffer)
    {
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        SyscallResult result = SystemCalls.Send(Fd, buffer, flags: 0);
        ReleaseReference();
        return result;
    }

    internal SyscallResult Send(ReadOnlySpan<iovec> buffers)
    {
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        SyscallResult result = SystemCalls.SendMsg(Fd, buffers, flags: 0);
        ReleaseReference();
        return result;
    }

    /// <inheritdoc cref="Descriptor.BeginWait"/>
    internal PollResult BeginWaitReadable(Turn waiter) => BeginWait(PollMode.Read, waiter);

    /// <inheritdoc cref="Descriptor.EndWait"/>
    internal PollResult EndWaitReadable() => EndWait(PollMode.Read);

    /// <inheritdoc cref="Descriptor.BeginWait"/>
    internal PollResult BeginWaitWritable(Turn waiter) => BeginWait(PollMode.Write, waiter);

    /// <inheritdoc cref="Descriptor.EndWait"/>
    internal PollResult EndWaitWritable() => EndWait(PollMode.Write);

    /// <summary>See <see cref="PollDescriptor.SetDeadline"/>. Nothing happens after a close.</summary>
    internal void SetReadDeadline(long deadline)
    {
        if (Lifetime.TryAddReference())
        {
            if (Poll is { } poll)
            {
                Group.SetDeadline(poll, PollMode.Read, deadline);
            }

            ReleaseReference();
        }
    }

    /// <inheritdoc cref="Descriptor.Wake"/>
    internal void WakeReader() => Wake(PollMode.Read);

    /// <inheritdoc cref="Descriptor.Wake"/>
    internal void WakeWriter() => Wake(PollMode.Write);

    /// <summary>Is anything that was sent still on its way? Not after a close.</summary>
    internal bool HasUnsentBytes()
    {
        if (!Lifetime.TryAddReference())
        {
            return false;
        }

        SyscallResult result = SystemCalls.GetUnsent(Fd);
        ReleaseReference();
        return result.IsSuccess && result.Value > 0;
    }

    /// <summary>Tells the peer that nothing more will be sent. Errors are ignored: the peer may be gone.</summary>
    internal void ShutdownSend()
    {
        if (Lifetime.TryAddReference())
        {
            SystemCalls.Shutdown(Fd, LibC.SHUT_WR);
            ReleaseReference();
        }
    }

    /// <summary>
    /// Makes calls return that somebody is inside of, in the kernel, and tells the peer the end that they hold up. For a holder of a
    /// reference, also after the close.
    /// </summary>
    internal void Disconnect(bool reset)
    {
        // Connecting to no address at all is how TCP sends a RST without a close; a Unix socket has no such thing.
        Span<byte> nowhere = stackalloc byte[sizeof(ulong) * 2];
        nowhere.Clear();
        if (!reset || SystemCalls.Connect(Fd, nowhere).IsError)
        {
            SystemCalls.Shutdown(Fd, LibC.SHUT_RDWR);
        }
    }

    private EndPoint? GetEndPoint(bool ofPeer)
    {
        if (!Lifetime.TryAddReference())
        {
            return null;
        }

        Span<byte> address = stackalloc byte[SocketAddresses.MaxLength];
        SyscallResult result = ofPeer
            ? SystemCalls.GetPeerName(Fd, address, out int length)
            : SystemCalls.GetSockName(Fd, address, out length);
        ReleaseReference();
        return result.IsSuccess ? SocketAddresses.Parse(address[..Math.Min(length, address.Length)]) : null;
    }

    /// <summary>
    /// Closes; with <paramref name="reset"/> the peer gets a RST and what was not sent is dropped. Otherwise as
    /// <see cref="Descriptor.Close"/>.
    /// </summary>
    internal void Close(bool reset)
    {
        if (reset && Lifetime.TryAddReference())
        {
            SystemCalls.SetLinger(Fd, on: true, seconds: 0);
            ReleaseReference();
        }

        Close();
    }
}
