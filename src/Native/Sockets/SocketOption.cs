using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>One call of setsockopt with a number.</summary>
/// <param name="Level">SOL_SOCKET, or the protocol.</param>
/// <param name="Option">Its number.</param>
/// <param name="Value">What it is set to.</param>
/// <param name="Name">As the man page calls it, for messages.</param>
internal readonly record struct SocketOption(int Level, int Option, int Value, string Name)
{
    /// <summary>What every connection is to have, of a TCP socket or a Unix one: the domain says which.</summary>
    internal static List<SocketOption> OfConnections(ListenSocketOptions options, int domain)
    {
        List<SocketOption> list = [];
        AddIfGiven(options.ReceiveBufferSize, LibC.SOL_SOCKET, LibC.SO_RCVBUF, "SO_RCVBUF");
        AddIfGiven(options.SendBufferSize, LibC.SOL_SOCKET, LibC.SO_SNDBUF, "SO_SNDBUF");
        if (domain == LibC.AF_UNIX)
        {
            return list;
        }

        list.Add(new SocketOption(LibC.IPPROTO_TCP, LibC.TCP_NODELAY, options.NoDelay ? 1 : 0, "TCP_NODELAY"));
        if ((options.KeepAliveIdleSeconds ?? options.KeepAliveIntervalSeconds ?? options.KeepAliveCount) is not null)
        {
            list.Add(new SocketOption(LibC.SOL_SOCKET, LibC.SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
        }

        AddIfGiven(options.KeepAliveIdleSeconds, LibC.IPPROTO_TCP, LibC.TCP_KEEPIDLE, "TCP_KEEPIDLE");
        AddIfGiven(options.KeepAliveIntervalSeconds, LibC.IPPROTO_TCP, LibC.TCP_KEEPINTVL, "TCP_KEEPINTVL");
        AddIfGiven(options.KeepAliveCount, LibC.IPPROTO_TCP, LibC.TCP_KEEPCNT, "TCP_KEEPCNT");
        AddIfGiven(options.UserTimeoutMilliseconds, LibC.IPPROTO_TCP, LibC.TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT");
        AddIfGiven(unchecked((int?)options.Mark), LibC.SOL_SOCKET, LibC.SO_MARK, "SO_MARK");

        // An IPv6 socket may have IPv4 connections.
        AddIfGiven(options.TypeOfService, LibC.IPPROTO_IP, LibC.IP_TOS, "IP_TOS");
        if (domain == LibC.AF_INET6)
        {
            AddIfGiven(options.TypeOfService, LibC.IPPROTO_IPV6, LibC.IPV6_TCLASS, "IPV6_TCLASS");
        }

        return list;

        void AddIfGiven(int? value, int level, int option, string name)
        {
            if (value is { } given)
            {
                list.Add(new SocketOption(level, option, given, name));
            }
        }
    }

    /// <summary>
    /// Does a socket have it already, as far as can be told? Of sizes of buffers it cannot: the kernel says twice what it was given.
    /// </summary>
    internal bool IsSetOn(int fd, SystemCalls systemCalls) =>
        !(Level == LibC.SOL_SOCKET && (Option == LibC.SO_RCVBUF || Option == LibC.SO_SNDBUF))
        && systemCalls.GetSockOpt(fd, Level, Option, out int value).IsSuccess && value == Value;

    /// <summary>What only a listening TCP socket has.</summary>
    internal static List<SocketOption> OfListener(ListenSocketOptions options)
    {
        List<SocketOption> list = [];
        if (options.DeferAcceptSeconds is { } seconds)
        {
            list.Add(new SocketOption(LibC.IPPROTO_TCP, LibC.TCP_DEFER_ACCEPT, seconds, "TCP_DEFER_ACCEPT"));
        }

        if (options.FastOpenQueue is { } queue)
        {
            list.Add(new SocketOption(LibC.IPPROTO_TCP, LibC.TCP_FASTOPEN, queue, "TCP_FASTOPEN"));
        }

        return list;
    }
}
