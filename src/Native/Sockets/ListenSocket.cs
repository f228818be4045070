using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A listening stream socket, IP or Unix. Accepting never waits; waiting for connections is the caller's turn's business.
/// </summary>
internal sealed partial class ListenSocket : Descriptor
{
    private static readonly IPAddress AnyIPv4Mapped = IPAddress.Any.MapToIPv6();

    // 0 until somebody has removed the file, then 1.
    private int _fileRemoved;

    private ListenSocket(int fd, WorkerGroup group, SystemCalls systemCalls)
        : base(fd, group, systemCalls)
    {
    }

    /// <summary>The address it really listens on: port 0 has become a number.</summary>
    internal EndPoint LocalEndPoint { get; private init; } = SocketAddresses.UnnamedUnix;

    // What the listener does not hand on.
    private IReadOnlyList<SocketOption> AcceptedOptions { get; init; } = [];

    // A listener on one address has it in common with its connections; one on all addresses does not, nor one that somebody else has made:
    // it may be transparent (IP_TRANSPARENT), or get the connections of other addresses by a program in the kernel.
    private bool SharesAddress { get; init; }

    /// <summary>The file of a Unix socket that was bound to a path here; see <see cref="RemoveFile"/>.</summary>
    private UnixSocketFile? File { get; init; }

    /// <summary>
    /// Binds, listens, and registers with a group of the runtime. <see cref="IPAddress.IPv6Any"/> also takes IPv4 connections; any
    /// other IPv6 address takes IPv6 only, so that the same port can be bound once for each family.
    /// </summary>
    /// <exception cref="SocketException">The kernel refuses; AddressAlreadyInUse comes from bind or from listen.</exception>
    internal static ListenSocket Listen(NetpollRuntime runtime, EndPoint endPoint, ListenSocketOptions options, WorkerGroup? group = null)
    {
        int fd = ListenSocketSetup.CreateBound(runtime.SystemCalls, endPoint, options, out UnixSocketFile? file);
        return Start(runtime, fd, options, group, file, isOwn: true);
    }

    /// <summary>
    /// Listens on a socket that somebody else has bound, and perhaps listens on already. It stays theirs: this works on a duplicate of the
    /// number, so that closing it leaves theirs open. It becomes non-blocking for them, too, since others may be using it by the time of
    /// the close, and takes on the options given, but for <see cref="ListenSocketOptions.LeavesListener"/>.
    /// </summary>
    /// <param name="runtime">Serves it.</param>
    /// <param name="fd">Their number.</param>
    /// <param name="options">How to listen.</param>
    /// <param name="group">The group to register with; null means the next one.</param>
    /// <param name="what">Whose it is, for the messages of exceptions; null means its number.</param>
    /// <exception cref="SocketException">It is not a bound stream socket, or the kernel refuses.</exception>
    internal static ListenSocket Borrow(
        NetpollRuntime runtime, int fd, ListenSocketOptions options, WorkerGroup? group = null, string? what = null)
    {
        int duplicate = ListenSocketSetup.Duplicate(runtime.SystemCalls, fd, what ?? $"descriptor {fd}", options);
        return Start(runtime, duplicate, options, group, file: null, isOwn: false);
    }

    /// <summary>Another descriptor of the same socket, for another group: each connection goes to one of them.</summary>
    internal ListenSocket ShareWith(WorkerGroup group)
    {
        SyscallResult duplicate = SystemCalls.Duplicate(Fd);
        if (duplicate.IsError)
        {
            throw SystemErrors.ToSocketException(duplicate.Errno, $"fcntl(F_DUPFD_CLOEXEC) for {LocalEndPoint}");
        }

        return Register(new ListenSocket(duplicate.Value, group, SystemCalls)
        {
            LocalEndPoint = LocalEndPoint,
            AcceptedOptions = AcceptedOptions,
            SharesAddress = SharesAddress,
        }, PollInterest.SharedListener);
    }

    /// <summary>
    /// Removes the file of a Unix socket, if it was made here and is still there. Before closing, so that nobody finds a socket that is
    /// closed; whoever has connected by then can still be accepted.
    /// </summary>
    internal void RemoveFile()
    {
        if (Interlocked.Exchange(ref _fileRemoved, 1) == 0)
        {
            File?.Remove();
        }
    }

    private static ListenSocket Start(
        NetpollRuntime runtime, int fd, ListenSocketOptions options, WorkerGroup? group, UnixSocketFile? file, bool isOwn)
    {
        SystemCalls systemCalls = runtime.SystemCalls;
        EndPoint localEndPoint;
        try
        {
            localEndPoint = ListenSocketSetup.Listen(systemCalls, fd, options.Backlog);
        }
        catch
        {
            file?.Remove();
            systemCalls.Close(fd);
            throw;
        }

        bool isUnix = localEndPoint.AddressFamily == AddressFamily.Unix;
        return Register(new ListenSocket(fd, group ?? runtime.NextGroup(), systemCalls)
        {
            LocalEndPoint = localEndPoint,
            File = file,
            AcceptedOptions = isUnix || options.LeavesListener
                ? SocketOption.OfConnections(options, SocketAddresses.DomainOf(localEndPoint))
                : [],
            SharesAddress = isUnix || (isOwn && !IsWildcard(localEndPoint)),
        }, options.Shared ? PollInterest.SharedListener : PollInterest.Everything);
    }

    private static ListenSocket Register(ListenSocket socket, PollInterest interest)
    {
        try
        {
            Errno error = socket.Register(hangupWaiter: null, interest);
            return error == Errno.Success ? socket : throw SystemErrors.ToSocketException(error, $"epoll_ctl for {socket.LocalEndPoint}");
        }
        catch
        {
            socket.RemoveFile();
            socket.Close();
            throw;
        }
    }

    /// <summary>
    /// Takes one connection, as <see cref="Take"/> does; its socket belongs to <paramref name="group"/> and is not started yet.
    /// </summary>
    internal SyscallResult Accept(WorkerGroup group, out StreamSocket? socket)
    {
        SyscallResult result = Take(out TakenSocket taken);
        socket = result.IsSuccess ? Adopt(taken, group) : null;
        return result;
    }

    /// <summary>
    /// Linux reports what had already gone wrong with a connection as an error of accept itself, as it does when a firewall forbids it: the
    /// next one may be fine, and is to be asked for at once. Those that accept(2) lists, and those that it says other kernels have.
    /// </summary>
    internal static bool IsErrorOfTheConnection(Errno error) => error is
        Errno.ECONNABORTED or Errno.ECONNRESET or Errno.ETIMEDOUT or Errno.EPERM or Errno.EPROTO or Errno.ENOPROTOOPT or Errno.EOPNOTSUPP
        or Errno.ENETDOWN or Errno.ENETUNREACH or Errno.EHOSTDOWN or Errno.EHOSTUNREACH or Errno.ENONET
        or Errno.ENOSR or Errno.ESOCKTNOSUPPORT or Errno.EPROTONOSUPPORT;

    /// <summary>The local address of a socket accepted here. Null after its close.</summary>
    internal EndPoint? LocalEndPointOf(StreamSocket accepted) => SharesAddress ? LocalEndPoint : accepted.GetLocalEndPoint();

    /// <inheritdoc cref="Descriptor.BeginWait"/>
    internal PollResult BeginWaitReadable(Turn waiter) => BeginWait(PollMode.Read, waiter);

    /// <inheritdoc cref="Descriptor.EndWait"/>
    internal PollResult EndWaitReadable() => EndWait(PollMode.Read);

    // A server stops also when every worker is stuck in the application: ending an accept must not need one.
    protected override void Resume(WokenWaiters woken)
    {
        if (woken.Reader is { } reader)
        {
            ThreadPoolQueue.Add(static turn => Worker.RunGuarded(turn), (Turn)reader);
        }
    }

    private static bool IsWildcard(EndPoint endPoint) => endPoint is IPEndPoint { Address: var address }
        && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || address.Equals(AnyIPv4Mapped));
}
