using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>A listening TCP socket. Accepting never waits; waiting for connections is the caller's turn's business.</summary>
internal sealed class ListenSocket : Descriptor
{
    private ListenSocket(int fd, WorkerGroup group, SystemCalls systemCalls)
        : base(fd, group, systemCalls)
    {
    }

    /// <summary>The address it really listens on: port 0 has become a number.</summary>
    internal IPEndPoint LocalEndPoint { get; private set; } = null!;

    /// <summary>
    /// Binds, listens, and registers with a group of the runtime. <see cref="IPAddress.IPv6Any"/> also takes IPv4 connections; any
    /// other IPv6 address takes IPv6 only, so that the same port can be bound once for each family.
    /// </summary>
    /// <exception cref="SocketException">The kernel refuses; AddressAlreadyInUse comes from bind or from listen.</exception>
    internal static ListenSocket Listen(NetpollRuntime runtime, IPEndPoint endPoint, ListenSocketOptions options)
    {
        SystemCalls systemCalls = runtime.SystemCalls;
        bool isIPv6 = endPoint.AddressFamily == AddressFamily.InterNetworkV6;
        SyscallResult created = systemCalls.Socket(
            isIPv6 ? LibC.AF_INET6 : LibC.AF_INET,
            LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC,
            LibC.IPPROTO_TCP);
        ThrowOnError(created);

        var socket = new ListenSocket(created.Value, runtime.NextGroup(), systemCalls);
        try
        {
            if (isIPv6)
            {
                bool dualMode = endPoint.Address.Equals(IPAddress.IPv6Any);
                socket.SetOption(LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, !dualMode);
            }

            // A restart must not wait for the previous process's connections to leave TIME_WAIT.
            socket.SetOption(LibC.SOL_SOCKET, LibC.SO_REUSEADDR, true);
            socket.SetOption(LibC.IPPROTO_TCP, LibC.TCP_NODELAY, options.NoDelay);
            SocketAddressBytes address = SocketAddressBytes.From(endPoint);
            ThrowOnError(systemCalls.Bind(socket.Fd, address.Bytes));
            ThrowOnError(systemCalls.Listen(socket.Fd, options.Backlog));
            ThrowOnError(systemCalls.GetSockName(socket.Fd, address.Buffer, out int length));
            socket.LocalEndPoint = address.WithLength(length).ToEndPoint()!;
            Errno error = socket.Register(hangupWaiter: null);
            return error == Errno.Success ? socket : throw SystemErrors.ToSocketException(error);
        }
        catch
        {
            socket.Close();
            throw;
        }
    }

    /// <summary>
    /// Takes one connection, if there is one; its socket belongs to <paramref name="group"/> and is not started yet. Otherwise the
    /// errno: EAGAIN, EBADF after a close, EMFILE and its like, which need a pause: the connection stays in the backlog and no
    /// new edge will announce it. Connections that died in the backlog are skipped. Any thread.
    /// </summary>
    internal SyscallResult Accept(WorkerGroup group, out StreamSocket? socket)
    {
        socket = null;
        if (!Lifetime.TryAddReference())
        {
            return SyscallResult.Failure(Errno.EBADF);
        }

        SocketAddressBytes address = default;
        SyscallResult result;
        int length;
        do
        {
            result = SystemCalls.Accept4(Fd, address.Buffer, out length, LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC);
        }
        while (IsErrorOfTheConnection(result.Errno));

        ReleaseReference();
        if (result.IsSuccess)
        {
            socket = new StreamSocket(result.Value, group, SystemCalls, address.WithLength(length));
        }

        return result;
    }

    /// <inheritdoc cref="Descriptor.BeginWait"/>
    internal PollResult BeginWaitReadable(Turn waiter) => BeginWait(PollMode.Read, waiter);

    /// <inheritdoc cref="Descriptor.EndWait"/>
    internal PollResult EndWaitReadable() => EndWait(PollMode.Read);

    /// <inheritdoc cref="Descriptor.Wake"/>
    internal void WakeReader() => Wake(PollMode.Read);

    // A server stops also when every worker is stuck in the application: ending an accept must not need one.
    protected override void Resume(WokenWaiters woken)
    {
        if (woken.Reader is { } reader)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static turn => Worker.RunGuarded(turn), (Turn)reader, preferLocal: false);
        }
    }

    // Linux reports what had already gone wrong with the connection as an error of accept itself (see accept(2)).
    private static bool IsErrorOfTheConnection(Errno error) => error is
        Errno.ECONNABORTED or Errno.ECONNRESET or Errno.ETIMEDOUT or Errno.EPROTO
        or Errno.ENETDOWN or Errno.ENETUNREACH or Errno.EHOSTDOWN or Errno.EHOSTUNREACH or Errno.ENONET;

    private void SetOption(int level, int option, bool value) =>
        ThrowOnError(SystemCalls.SetSockOpt(Fd, level, option, value ? 1 : 0));

    private static void ThrowOnError(SyscallResult result)
    {
        if (result.IsError)
        {
            throw SystemErrors.ToSocketException(result.Errno);
        }
    }
}
