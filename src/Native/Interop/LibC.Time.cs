using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>A span of time for epoll_pwait2: both fields are 64 bits wide wherever we run, as the kernel's own struct is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct timespec
{
    internal long tv_sec;
    internal long tv_nsec;
}
