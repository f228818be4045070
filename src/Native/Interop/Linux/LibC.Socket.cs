using System.Runtime.InteropServices;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

// sys/socket.h, netinet/in.h, netinet/tcp.h, linux/sockios.h
internal static unsafe partial class LibC
{
    internal const int MSG_NOSIGNAL = 0x4000;

    /// <summary>ioctl: bytes that were sent and that the peer has not acknowledged, or, of a Unix socket, not read.</summary>
    internal const uint SIOCOUTQ = 0x5411;

    internal const int IPPROTO_MPTCP = 262;

    internal static int AF_UNSPEC => TmdsLibC.AF_UNSPEC;

    internal static int AF_UNIX => TmdsLibC.AF_UNIX;

    internal static int AF_INET => TmdsLibC.AF_INET;

    internal static int AF_INET6 => TmdsLibC.AF_INET6;

    internal static int SOCK_STREAM => TmdsLibC.SOCK_STREAM;

    internal static int SOCK_NONBLOCK => TmdsLibC.SOCK_NONBLOCK;

    internal static int SOCK_CLOEXEC => TmdsLibC.SOCK_CLOEXEC;

    internal static int SOL_SOCKET => TmdsLibC.SOL_SOCKET;

    internal static int SO_REUSEADDR => TmdsLibC.SO_REUSEADDR;

    internal static int SO_TYPE => TmdsLibC.SO_TYPE;

    internal static int SO_ERROR => TmdsLibC.SO_ERROR;

    internal static int SO_SNDBUF => TmdsLibC.SO_SNDBUF;

    internal static int SO_RCVBUF => TmdsLibC.SO_RCVBUF;

    internal static int SO_KEEPALIVE => TmdsLibC.SO_KEEPALIVE;

    internal static int SO_REUSEPORT => TmdsLibC.SO_REUSEPORT;

    internal static int SO_DOMAIN => TmdsLibC.SO_DOMAIN;

    internal static int SO_PROTOCOL => TmdsLibC.SO_PROTOCOL;

    internal static int SO_MARK => TmdsLibC.SO_MARK;

    internal static int SO_BINDTODEVICE => TmdsLibC.SO_BINDTODEVICE;

    internal static int IPPROTO_TCP => TmdsLibC.IPPROTO_TCP;

    internal static int TCP_NODELAY => TmdsLibC.TCP_NODELAY;

    internal static int TCP_KEEPIDLE => TmdsLibC.TCP_KEEPIDLE;

    internal static int TCP_KEEPINTVL => TmdsLibC.TCP_KEEPINTVL;

    internal static int TCP_KEEPCNT => TmdsLibC.TCP_KEEPCNT;

    internal static int TCP_DEFER_ACCEPT => TmdsLibC.TCP_DEFER_ACCEPT;

    internal static int TCP_USER_TIMEOUT => TmdsLibC.TCP_USER_TIMEOUT;

    internal static int TCP_FASTOPEN => TmdsLibC.TCP_FASTOPEN;

    internal static int TCP_INFO => TmdsLibC.TCP_INFO;

    internal static int IPPROTO_IP => TmdsLibC.IPPROTO_IP;

    internal static int IP_TOS => TmdsLibC.IP_TOS;

    internal static int IP_FREEBIND => TmdsLibC.IP_FREEBIND;

    internal static int IPPROTO_IPV6 => TmdsLibC.IPPROTO_IPV6;

    internal static int IPV6_V6ONLY => TmdsLibC.IPV6_V6ONLY;

    internal static int IPV6_TCLASS => TmdsLibC.IPV6_TCLASS;

    internal static int SHUT_WR => TmdsLibC.SHUT_WR;

    internal static int SHUT_RDWR => TmdsLibC.SHUT_RDWR;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint recv(int sockfd, byte* buf, nuint len, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint send(int sockfd, byte* buf, nuint len, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint sendmsg(int sockfd, msghdr* msg, int flags);
}

/// <summary>The argument of sendmsg. The paddings that C leaves behind the 32-bit fields fall out of the field types.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct msghdr
{
    internal void* msg_name;
    internal uint msg_namelen;
    internal iovec* msg_iov;
    internal nuint msg_iovlen;
    internal void* msg_control;
    internal nuint msg_controllen;
    internal int msg_flags;
}
