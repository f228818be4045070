using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>The names of the system calls that a thread is likely to sleep in.</summary>
internal static class SystemCallNames
{
    /// <summary>Null: it is not among them.</summary>
    internal static string? Find(int number, Architecture architecture) => architecture switch
    {
        Architecture.X64 => FindX64(number),
        Architecture.Arm64 => FindArm64(number),
        _ => null,
    };

    private static string? FindX64(int number) => number switch
    {
        0 => "read",
        1 => "write",
        3 => "close",
        7 => "poll",
        17 => "pread64",
        18 => "pwrite64",
        19 => "readv",
        20 => "writev",
        23 => "select",
        26 => "msync",
        34 => "pause",
        35 => "nanosleep",
        40 => "sendfile",
        42 => "connect",
        43 => "accept",
        44 => "sendto",
        45 => "recvfrom",
        46 => "sendmsg",
        47 => "recvmsg",
        61 => "wait4",
        72 => "fcntl",
        73 => "flock",
        74 => "fsync",
        75 => "fdatasync",
        202 => "futex",
        208 => "io_getevents",
        217 => "getdents64",
        230 => "clock_nanosleep",
        232 => "epoll_wait",
        247 => "waitid",
        257 => "openat",
        262 => "newfstatat",
        263 => "unlinkat",
        270 => "pselect6",
        271 => "ppoll",
        275 => "splice",
        281 => "epoll_pwait",
        285 => "fallocate",
        288 => "accept4",
        295 => "preadv",
        296 => "pwritev",
        299 => "recvmmsg",
        307 => "sendmmsg",
        326 => "copy_file_range",
        _ => FindCommon(number),
    };

    private static string? FindArm64(int number) => number switch
    {
        4 => "io_getevents",
        22 => "epoll_pwait",
        25 => "fcntl",
        32 => "flock",
        35 => "unlinkat",
        47 => "fallocate",
        56 => "openat",
        57 => "close",
        61 => "getdents64",
        63 => "read",
        64 => "write",
        65 => "readv",
        66 => "writev",
        67 => "pread64",
        68 => "pwrite64",
        69 => "preadv",
        70 => "pwritev",
        71 => "sendfile",
        72 => "pselect6",
        73 => "ppoll",
        76 => "splice",
        79 => "newfstatat",
        82 => "fsync",
        83 => "fdatasync",
        95 => "waitid",
        98 => "futex",
        101 => "nanosleep",
        115 => "clock_nanosleep",
        202 => "accept",
        203 => "connect",
        206 => "sendto",
        207 => "recvfrom",
        211 => "sendmsg",
        212 => "recvmsg",
        227 => "msync",
        242 => "accept4",
        243 => "recvmmsg",
        260 => "wait4",
        269 => "sendmmsg",
        285 => "copy_file_range",
        _ => FindCommon(number),
    };

    // Since 2019 a new call has the same number everywhere.
    private static string? FindCommon(int number) => number switch
    {
        426 => "io_uring_enter",
        437 => "openat2",
        441 => "epoll_pwait2",
        449 => "futex_waitv",
        455 => "futex_wait",
        _ => null,
    };
}
