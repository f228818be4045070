using System.Buffers;
using System.Net;
using System.Runtime.CompilerServices;
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
    /// <summary>The most buffers of one receive.</summary>
    internal const int MaxReceiveBuffers = 16;

    /// <summary>The most buffers of one send. More than 256 KiB of pool blocks would not fit into a socket's send buffer anyway.</summary>
    internal const int MaxSendBuffers = 64;

    private readonly SocketAddressBytes _remoteAddress;
    private Turn? _hangupTurn;

    internal StreamSocket(int fd, WorkerGroup group, SystemCalls systemCalls, in SocketAddressBytes remoteAddress = default)
        : base(fd, group, systemCalls) =>
        _remoteAddress = remoteAddress;

    private static SyscallResult Closed => SyscallResult.Failure(Errno.EBADF);

    /// <summary>
    /// The peer, as accept or connect gave it; the name of a Unix peer, which few have, is asked for and is lost with the close. Null when
    /// it has no address (a socket pair). Parsed at each call.
    /// </summary>
    internal EndPoint? RemoteEndPoint => (_remoteAddress.IsNamedUnix ? GetEndPoint(ofPeer: true) : null) ?? _remoteAddress.ToEndPoint();

    /// <summary>This side's address. Asks the kernel at each call. Null after a close.</summary>
    internal EndPoint? GetLocalEndPoint() => GetEndPoint(ofPeer: false);

    /// <summary>
    /// Does a receive that got less than it asked for show that there is nothing more, as long as no hang-up was seen? Not from a Unix
    /// socket, where a receive stops behind bytes that came with descriptors; nor once urgent data was seen, where it stops in front of the
    /// mark. That is looked at after the receive: an event that tells of urgent data is recorded before it wakes, and if it comes later, it
    /// is another edge.
    /// </summary>
    internal bool ShortReadDrains => !_remoteAddress.IsUnix && !UrgentSeen;

    /// <summary>May there be more behind a receive that got less than it asked for, of which no edge will tell?</summary>
    internal bool UrgentSeen => Poll is { UrgentSeen: true };

    /// <summary>Sticky: both directions have ended, or an error was reported.</summary>
    internal bool GoneSeen => Poll is { GoneSeen: true };

    /// <summary>
    /// Scheduled once, when <see cref="Descriptor.HangupSeen"/> first becomes true, unless a reader waits, which finds out itself.
    /// Set before <see cref="Start"/>. Like any turn it may come spuriously. If it is an <see cref="UnreadInput"/>, it is told of whatever
    /// comes later, or before, without a reader that waits.
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
        int error = 0;
        SyscallResult result = TryEnter() ? Leave(SystemCalls.GetSockOpt(Fd, LibC.SOL_SOCKET, LibC.SO_ERROR, out error)) : Closed;
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

    internal SyscallResult Receive(Span<byte> buffer) => TryEnter() ? Leave(SystemCalls.Recv(Fd, buffer, flags: 0)) : Closed;

    private SyscallResult Receive(ReadOnlySpan<iovec> buffers) => TryEnter() ? Leave(SystemCalls.Readv(Fd, buffers)) : Closed;

    /// <summary>Receives into several buffers, filled in order; at most <see cref="MaxReceiveBuffers"/>.</summary>
    [SkipLocalsInit]
    internal SyscallResult Receive(ReadOnlySpan<Memory<byte>> buffers)
    {
        ReceivePins handles = default;
        Span<iovec> vectors = stackalloc iovec[MaxReceiveBuffers];
        using var pinned = new PinnedBuffers(handles, vectors);
        foreach (Memory<byte> buffer in buffers)
        {
            pinned.Add(buffer);
        }

        return Receive(pinned.Vectors);
    }

    internal SyscallResult Send(ReadOnlySpan<byte> buffer) => TryEnter() ? Leave(SystemCalls.Send(Fd, buffer, flags: 0)) : Closed;

    /// <summary>Sends several buffers, in order; at most <see cref="MaxSendBuffers"/>.</summary>
    [SkipLocalsInit]
    internal SyscallResult Send(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        SendPins handles = default;
        Span<iovec> vectors = stackalloc iovec[MaxSendBuffers];
        using var pinned = new PinnedBuffers(handles, vectors);
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            pinned.Add(buffer);
        }

        return Send(pinned.Vectors);
    }

    private SyscallResult Send(ReadOnlySpan<iovec> buffers) => TryEnter() ? Leave(SystemCalls.SendMsg(Fd, buffers, flags: 0)) : Closed;

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
        if (TryEnter())
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
    internal bool HasUnsentBytes() => CountUnacknowledged() > 0;

    /// <summary>Tells the peer that nothing more will be sent. Errors are ignored: the peer may be gone.</summary>
    internal void ShutdownSend() => _ = TryEnter() ? Leave(SystemCalls.Shutdown(Fd, LibC.SHUT_WR)) : Closed;

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

    /// <summary>
    /// Closes; with <paramref name="reset"/> the peer gets a RST and what was not sent is dropped. Otherwise as
    /// <see cref="Descriptor.Close"/>.
    /// </summary>
    internal void Close(bool reset)
    {
        if (reset && TryEnter())
        {
            Leave(SystemCalls.SetLinger(Fd, on: true, seconds: 0));
        }

        Close();
    }

    private EndPoint? GetEndPoint(bool ofPeer)
    {
        if (!TryEnter())
        {
            return null;
        }

        Span<byte> address = stackalloc byte[SocketAddresses.MaxLength];
        SyscallResult result = Leave(ofPeer
            ? SystemCalls.GetPeerName(Fd, address, out int length)
            : SystemCalls.GetSockName(Fd, address, out length));
        return result.IsSuccess ? SocketAddresses.Parse(address[..Math.Min(length, address.Length)]) : null;
    }

    // Every call on the number is `TryEnter() ? Leave(call) : Closed`: nothing is called through a delegate, which could take no span, and
    // there is no finally, for no call throws.
    private bool TryEnter() => Lifetime.TryAddReference();

    private SyscallResult Leave(SyscallResult result)
    {
        ReleaseReference();
        return result;
    }

    [InlineArray(MaxReceiveBuffers)]
    private struct ReceivePins
    {
        private MemoryHandle _first;
    }

    [InlineArray(MaxSendBuffers)]
    private struct SendPins
    {
        private MemoryHandle _first;
    }
}
