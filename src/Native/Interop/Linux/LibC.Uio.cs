using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>One buffer of a scatter or gather call. Whoever fills it keeps the memory pinned until the call has returned.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct iovec
{
    internal void* iov_base;
    internal nuint iov_len;
}

// sys/uio.h
internal static unsafe partial class LibC
{
    /// <summary>The most buffers that one readv, writev or sendmsg takes: more is EINVAL, for sendmsg EMSGSIZE.</summary>
    internal const int IOV_MAX = 1024;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint readv(int fd, iovec* iov, int iovcnt);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint writev(int fd, iovec* iov, int iovcnt);
}
