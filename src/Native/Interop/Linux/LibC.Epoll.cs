using System.Runtime.InteropServices;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

// epoll(7), eventfd(2). The events are byte pointers: struct epoll_event has two layouts, see EpollEventLayout.
internal static unsafe partial class LibC
{
    internal const uint EPOLLIN = 0x1;
    internal const uint EPOLLPRI = 0x2;
    internal const uint EPOLLOUT = 0x4;
    internal const uint EPOLLERR = 0x8;
    internal const uint EPOLLHUP = 0x10;
    internal const uint EPOLLRDHUP = 0x2000;
    internal const uint EPOLLEXCLUSIVE = 1u << 28;
    internal const uint EPOLLET = 1u << 31;

    /// <summary>epoll_pwait2 goes by number: glibc has a wrapper since 2.35 only, the kernel has the call since 5.11.</summary>
    internal const int SYS_epoll_pwait2 = 441;

    internal static int EPOLL_CLOEXEC => TmdsLibC.EPOLL_CLOEXEC;

    internal static int EPOLL_CTL_ADD => TmdsLibC.EPOLL_CTL_ADD;

    internal static int EPOLL_CTL_DEL => TmdsLibC.EPOLL_CTL_DEL;

    internal static int EFD_CLOEXEC => TmdsLibC.EFD_CLOEXEC;

    internal static int EFD_NONBLOCK => TmdsLibC.EFD_NONBLOCK;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int epoll_wait(int epfd, byte* events, int maxevents, int timeout);
}
