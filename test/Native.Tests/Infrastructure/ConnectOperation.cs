using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// Waits for a connect(2) under way. A wake-up is not believed: the connection is up when the socket has no error *and* has a
/// peer, since an event may have been meant for the slot's previous file.
/// </summary>
internal sealed class ConnectOperation : PollOperation<StreamSocket>
{
    private readonly StreamSocket _socket;

    private ConnectOperation(StreamSocket socket)
        : base(socket, PollMode.Write) =>
        _socket = socket;

    /// <summary>Connects over TCP, or to a Unix socket. The socket is started.</summary>
    /// <exception cref="SocketException">The peer or the kernel refuses.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the attempt is given up.</exception>
    internal static async ValueTask<StreamSocket> ConnectAsync(
        NetpollRuntime runtime, EndPoint endPoint, CancellationToken cancellationToken = default)
    {
        byte[] address = SocketAddresses.ToBytes(endPoint);
        SyscallResult created = runtime.SystemCalls.Socket(
            SocketAddresses.DomainOf(endPoint), LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (created.IsError)
        {
            throw SystemErrors.ToSocketException(created.Errno);
        }

        var socket = new StreamSocket(
            created.Value, runtime.NextGroup(), runtime.SystemCalls, SocketAddressBytes.FromKernel(address));
        try
        {
            SyscallResult result = runtime.SystemCalls.Connect(socket.Fd, address);
            if (result.IsError && result.Errno != Errno.EINPROGRESS)
            {
                throw SystemErrors.ToSocketException(result.Errno);
            }

            socket.Start();
            if (socket.Lifetime.TryLock(PollMode.Write) != DescriptorLifetime.LockResult.Acquired)
            {
                throw SystemErrors.ToSocketException(Errno.EBADF);
            }

            return await new ConnectOperation(socket).Start(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            socket.Close();
            throw;
        }
    }

    protected override bool Attempt(out StreamSocket result, out Exception? error)
    {
        result = _socket;
        error = null;
        SyscallResult asked = SystemCalls.GetSockOpt(Fd, LibC.SOL_SOCKET, LibC.SO_ERROR, out int pending);
        var failure = asked.IsError ? asked.Errno : (Errno)pending;
        if (failure != Errno.Success)
        {
            error = SystemErrors.ToSocketException(failure);
            return true;
        }

        SocketAddressBytes peer = default;
        SyscallResult named = SystemCalls.GetPeerName(Fd, peer.Buffer, out _);
        if (named.Errno == Errno.ENOTCONN)
        {
            return false;
        }

        error = named.IsError ? SystemErrors.ToSocketException(named.Errno) : null;
        return true;
    }

    protected override Exception ToException(PollResult result) =>
        SystemErrors.ToSocketException(result == PollResult.TimedOut ? Errno.ETIMEDOUT : Errno.EBADF);

    protected override void Recycle()
    {
    }
}
