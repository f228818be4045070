namespace KestrelNetpoll.Native.Interop;

// sys/socket.h and netinet/in.h: what is set on a socket before it is bound.
internal static unsafe partial class LibC
{
    internal const int SO_BINDTODEVICE = 25;
    internal const int SO_MARK = 36;

    internal const int IPPROTO_IP = 0;
    internal const int IP_TOS = 1;
    internal const int IP_FREEBIND = 15;
    internal const int IPV6_TCLASS = 67;

    internal const int IPPROTO_MPTCP = 262;
}
