using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>What an open file is, as far as reading, writing and polling it depends on that.</summary>
internal readonly record struct FileTraits
{
    // misc devices have major number 10; tun and tap share one.
    private const uint MiscMajor = 10;
    private const uint TunMinor = 200;

    private int Type { get; init; }

    /// <summary>
    /// A regular file, a directory or a block device: always ready, says poll(2), and they block all the same. File systems in user space
    /// (FUSE) let themselves be registered, and then block in read, whatever the flags.
    /// </summary>
    internal bool IsNeverPolled => Type is LibC.S_IFREG or LibC.S_IFDIR or LibC.S_IFBLK;

    /// <summary>A pipe or FIFO, whose end of file has to be told from "nobody has opened the other end yet".</summary>
    internal bool IsPipe => Type == LibC.S_IFIFO;

    internal bool IsTerminal { get; private init; }

    /// <summary>A socket whose messages may be empty.</summary>
    internal bool IsMessageSocket { get; private init; }

    /// <summary>Known to carry messages: a buffer in between would join or cut them.</summary>
    internal bool KeepsMessages { get; private init; }

    /// <summary>A stream of bytes, of which a call may move any part. For anything else, such as a device, each call may be a
    /// message.</summary>
    internal bool IsStream { get; private init; }

    internal FileIdentity Identity { get; private init; }

    internal static FileTraits Of(int fd, SystemCalls systemCalls)
    {
        // A kernel that does not tell (before 4.11) is taken at epoll's word.
        systemCalls.GetStatus(fd, out FileStatus status);
        bool isTerminal = status.Type == LibC.S_IFCHR && systemCalls.GetTerminalMode(fd, out _).IsSuccess;
        bool isMessageSocket = status.Type == LibC.S_IFSOCK
            && systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_TYPE, out int type).IsSuccess && type != LibC.SOCK_STREAM;
        bool isTun = status is { Type: LibC.S_IFCHR, DeviceMajor: MiscMajor, DeviceMinor: TunMinor };
        return new FileTraits
        {
            Type = status.Type,
            Identity = status.Identity,
            IsTerminal = isTerminal,
            IsMessageSocket = isMessageSocket,
            KeepsMessages = isMessageSocket || isTun,
            IsStream = status.Type switch
            {
                LibC.S_IFCHR => isTerminal,
                LibC.S_IFSOCK => !isMessageSocket,
                LibC.S_IFIFO or LibC.S_IFREG or LibC.S_IFBLK or LibC.S_IFDIR => true,
                _ => false,
            },
        };
    }
}
