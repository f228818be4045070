using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>The system calls from nothing to a socket that listens. What fails says which call it was, and for which address.</summary>
internal static class ListenSocketSetup
{
    /// <summary>A bound socket, not listening yet; <paramref name="file"/> is what binding to a path has made.</summary>
    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static int CreateBound(SystemCalls systemCalls, EndPoint endPoint, ListenSocketOptions options, out UnixSocketFile? file)
    {
        file = null;
        int domain = SocketAddresses.DomainOf(endPoint);
        if (options.MultipathTcp && domain != LibC.AF_UNIX && TryCreateMultipath(systemCalls, domain, endPoint, options) is { } multipath)
        {
            return multipath;
        }

        SyscallResult created = systemCalls.Socket(domain, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        ThrowOnError(created, "socket", endPoint);
        SetUp(systemCalls, created.Value, domain, endPoint, options, out file);
        return created.Value;
    }

    // Null: the kernel has no such sockets, or one that has not all the options yet, of which older kernels give it few. Whatever it has
    // against TCP as well, the next attempt tells.
    private static int? TryCreateMultipath(SystemCalls systemCalls, int domain, EndPoint endPoint, ListenSocketOptions options)
    {
        SyscallResult created =
            systemCalls.Socket(domain, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, LibC.IPPROTO_MPTCP);
        if (created.IsError)
        {
            return null;
        }

        try
        {
            SetUp(systemCalls, created.Value, domain, endPoint, options, out _);
            return created.Value;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.OperationNotSupported or SocketError.ProtocolOption)
        {
            return null;
        }
    }

    // From a new socket to a bound one. If that fails, it is closed.
    private static void SetUp(
        SystemCalls systemCalls, int fd, int domain, EndPoint endPoint, ListenSocketOptions options, out UnixSocketFile? file)
    {
        file = null;
        try
        {
            if (domain == LibC.AF_INET6)
            {
                bool dualMode = endPoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any);
                Set(systemCalls, fd, endPoint, LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, dualMode ? 0 : 1, "IPV6_V6ONLY");
            }

            if (domain != LibC.AF_UNIX)
            {
                // A restart must not wait for the previous process's connections to leave TIME_WAIT.
                Set(systemCalls, fd, endPoint, LibC.SOL_SOCKET, LibC.SO_REUSEADDR, 1, "SO_REUSEADDR");
                if (options.ReusePort)
                {
                    Set(systemCalls, fd, endPoint, LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1, "SO_REUSEPORT");
                }

                SetOptionsOfBinding(systemCalls, fd, endPoint, options);
            }

            SetOptions(systemCalls, fd, domain, endPoint, options);
            Bind(systemCalls, fd, endPoint, options, out file);
        }
        catch
        {
            file?.Remove();
            systemCalls.Close(fd);
            throw;
        }
    }

    /// <summary>Another number for somebody's socket, which is made ready to be listened on.</summary>
    /// <param name="systemCalls">The kernel.</param>
    /// <param name="fd">Theirs.</param>
    /// <param name="what">Whose it is, for the messages of exceptions.</param>
    /// <param name="options">What to set on it.</param>
    /// <exception cref="SocketException">It is not a bound stream socket, or the kernel refuses.</exception>
    internal static int Duplicate(SystemCalls systemCalls, int fd, string what, ListenSocketOptions options)
    {
        SyscallResult type = systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_TYPE, out int socketType);
        ThrowOnError(type, "getsockopt(SO_TYPE)", what);
        if (socketType != LibC.SOCK_STREAM)
        {
            throw SystemErrors.ToSocketException(Errno.ESOCKTNOSUPPORT, $"{what} is a socket, but not a stream socket");
        }

        ThrowOnError(systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_DOMAIN, out int domain), "getsockopt(SO_DOMAIN)", what);

        // Listening would bind it, to a port of the kernel's choice.
        if (!IsBound(GetLocalEndPoint(systemCalls, fd, what)))
        {
            throw SystemErrors.ToSocketException(Errno.EINVAL, $"{what} is not bound to an address");
        }

        SyscallResult duplicate = systemCalls.Duplicate(fd);
        ThrowOnError(duplicate, "fcntl(F_DUPFD_CLOEXEC)", what);
        try
        {
            MakeNonBlocking(systemCalls, duplicate.Value, what);
            SetOptions(systemCalls, duplicate.Value, domain, what, options);
            return duplicate.Value;
        }
        catch
        {
            systemCalls.Close(duplicate.Value);
            throw;
        }
    }

    /// <summary>An accept that blocks would stop a worker.</summary>
    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static void MakeNonBlocking(SystemCalls systemCalls, int fd, string what)
    {
        SyscallResult flags = systemCalls.GetFlags(fd);
        ThrowOnError(flags, "fcntl(F_GETFL)", what);
        if ((flags.Value & LibC.O_NONBLOCK) == 0)
        {
            ThrowOnError(systemCalls.SetFlags(fd, flags.Value | LibC.O_NONBLOCK), "fcntl(F_SETFL)", what);
        }
    }

    /// <summary>Whether somebody's descriptor is a stream socket that listens.</summary>
    /// <returns>The address it listens on.</returns>
    /// <exception cref="SocketException">It is something else.</exception>
    internal static EndPoint CheckListener(SystemCalls systemCalls, int fd, string what)
    {
        ThrowOnError(systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_TYPE, out int type), "getsockopt(SO_TYPE)", what);
        ThrowOnError(systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_ACCEPTCONN, out int listens), "getsockopt(SO_ACCEPTCONN)", what);
        return type == LibC.SOCK_STREAM && listens != 0
            ? GetLocalEndPoint(systemCalls, fd, what)
            : throw SystemErrors.ToSocketException(Errno.EINVAL, $"{what} does not listen");
    }

    /// <summary>Of a socket that another process may be listening on as well.</summary>
    /// <exception cref="SocketException">The kernel refuses one.</exception>
    internal static void SetOptionsOfInherited(SystemCalls systemCalls, int fd, EndPoint endPoint, ListenSocketOptions options) =>
        SetOptions(systemCalls, fd, SocketAddresses.DomainOf(endPoint), endPoint, options with { LeavesListener = true });

    /// <returns>The address it listens on.</returns>
    internal static EndPoint Listen(SystemCalls systemCalls, int fd, int backlog)
    {
        EndPoint endPoint = GetLocalEndPoint(systemCalls, fd, $"descriptor {fd}");
        ThrowOnError(systemCalls.Listen(fd, backlog), "listen", endPoint);
        return endPoint;
    }

    private static void SetOptionsOfBinding(SystemCalls systemCalls, int fd, EndPoint endPoint, ListenSocketOptions options)
    {
        if (options.FreeBind)
        {
            // Also of IPv6 sockets, and on kernels that have no option of IPv6 for it.
            Set(systemCalls, fd, endPoint, LibC.IPPROTO_IP, LibC.IP_FREEBIND, 1, "IP_FREEBIND");
        }

        if (options.BindToDevice is { } device)
        {
            SyscallResult bound = systemCalls.SetSockOptBytes(fd, LibC.SOL_SOCKET, LibC.SO_BINDTODEVICE, Encoding.UTF8.GetBytes(device));
            ThrowOnError(bound, $"setsockopt(SO_BINDTODEVICE, {device})", endPoint);
        }
    }

    private static EndPoint GetLocalEndPoint(SystemCalls systemCalls, int fd, string what)
    {
        Span<byte> address = stackalloc byte[SocketAddresses.MaxLength];
        ThrowOnError(systemCalls.GetSockName(fd, address, out int length), "getsockname", what);
        return SocketAddresses.Parse(address[..Math.Min(length, address.Length)])
            ?? throw SystemErrors.ToSocketException(Errno.EAFNOSUPPORT, $"{what} is neither an IP nor a Unix socket");
    }

    private static bool IsBound(EndPoint localEndPoint) => localEndPoint is IPEndPoint { Port: var port }
        ? port != 0
        : !localEndPoint.Equals(SocketAddresses.UnnamedUnix);

    private static void Bind(SystemCalls systemCalls, int fd, EndPoint endPoint, ListenSocketOptions options, out UnixSocketFile? file)
    {
        file = null;
        byte[] address = SocketAddresses.ToBytes(endPoint);
        string? path = UnixSocketFile.PathOf(endPoint);
        UnixFileMode? mode = path is null ? null : options.UnixSocketMode;
        if (mode is not null)
        {
            // The file takes them from the socket, less the umask: at no moment does it have more than is asked for. Where a sandbox
            // refuses it, the mode is set all the same before anybody can connect.
            _ = systemCalls.Fchmod(fd, (uint)mode);
        }

        SyscallResult bound = systemCalls.Bind(fd, address);
        if (bound.Errno == Errno.EADDRINUSE && path is not null && options.ReplaceStaleUnixSocket
            && UnixSocketFile.TryRemoveStale(path, endPoint, systemCalls))
        {
            bound = systemCalls.Bind(fd, address);
        }

        ThrowOnError(bound, "bind", endPoint);
        if (path is null)
        {
            return;
        }

        file = UnixSocketFile.Remember(path, systemCalls);
        if (mode is not null)
        {
            ThrowIfModeRefused(file?.SetMode(mode.Value) ?? SyscallResult.Failure(Errno.ESTALE));
        }

        void ThrowIfModeRefused(SyscallResult changed)
        {
            if (changed.IsError)
            {
                string octal = Convert.ToString((int)mode!, toBase: 8);
                throw SystemErrors.ToSocketException(
                    changed.Errno, $"chmod({octal}) for {endPoint} ({nameof(options.UnixSocketMode)})");
            }
        }
    }

    // Each connection will be given them, when it is too late to complain. Where a sandbox allows no sockets but those that it hands over,
    // nobody can know before.
    private static void TryOptionsOfConnections(SystemCalls systemCalls, int domain, object endPoint, ListenSocketOptions options)
    {
        SyscallResult scratch = systemCalls.Socket(domain, LibC.SOCK_STREAM | LibC.SOCK_CLOEXEC, 0);
        if (scratch.IsError)
        {
            return;
        }

        try
        {
            foreach (SocketOption option in SocketOption.OfConnections(options, domain))
            {
                Set(systemCalls, scratch.Value, endPoint, option.Level, option.Option, option.Value, option.Name);
            }
        }
        finally
        {
            systemCalls.Close(scratch.Value);
        }
    }

    /// <summary>
    /// Linux hands the connections' options on from a TCP listener; from a Unix one it does not, but that it takes them shows here.
    /// </summary>
    private static void SetOptions(SystemCalls systemCalls, int fd, int domain, object endPoint, ListenSocketOptions options)
    {
        bool isUnix = domain == LibC.AF_UNIX;
        if (options.LeavesListener)
        {
            TryOptionsOfConnections(systemCalls, domain, endPoint, options);
        }
        else
        {
            SocketOption.OfConnections(options, domain).ForEach(Set);
        }

        if (!isUnix)
        {
            SocketOption.OfListener(options).ForEach(Set);
        }

        void Set(SocketOption option) =>
            ListenSocketSetup.Set(systemCalls, fd, endPoint, option.Level, option.Option, option.Value, option.Name);
    }

    private static void Set(SystemCalls systemCalls, int fd, object endPoint, int level, int option, int value, string name)
    {
        SyscallResult result = systemCalls.SetSockOpt(fd, level, option, value);
        if (result.IsError)
        {
            throw SystemErrors.ToSocketException(result.Errno, $"setsockopt({name}, {value}) for {endPoint}");
        }
    }

    private static void ThrowOnError(SyscallResult result, string operation, object endPoint)
    {
        if (result.IsError)
        {
            throw SystemErrors.ToSocketException(result.Errno, $"{operation} for {endPoint}");
        }
    }
}
