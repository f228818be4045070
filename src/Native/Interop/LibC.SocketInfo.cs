using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// sys/socket.h and netinet/tcp.h: what is asked of a socket.
internal static unsafe partial class LibC
{
    internal const int SO_PEERCRED = 17;
    internal const int TCP_INFO = 11;
}

/// <summary>Who is at the other end of a Unix socket, as it was when the connection was made.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ucred
{
    internal int pid;
    internal uint uid;
    internal uint gid;
}
