using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>Files, pipes, eventfd and epoll against the real kernel.</summary>
public sealed class SystemCallsFileTests : IDisposable
{
    private const ulong Cookie = 0xFEDC_BA98_7654_3210;
    private const uint ReadWriteForTheOwner = 0x180;

    private static readonly SystemCalls Kernel = SystemCalls.Instance;

    private readonly OwnedDescriptors _owned = new();

    public void Dispose() => _owned.Dispose();

    [Fact]
    public void A_pipe_carries_bytes_and_says_when_it_is_empty_and_when_it_ends()
    {
        (int read, int write) = NewPipe();
        byte[] buffer = new byte[8];

        Assert.True(Kernel.Read(read, buffer).WouldBlock);
        Assert.Equal(3, Kernel.Write(write, "abc"u8).Value);
        Assert.Equal(3, Kernel.Read(read, buffer).Value);
        Assert.Equal("abc"u8, buffer.AsSpan(0, 3));

        Assert.True(_owned.Close(write).IsSuccess);
        SyscallResult end = Kernel.Read(read, buffer);
        Assert.True(end.IsSuccess);
        Assert.Equal(0, end.Value);
    }

    [Fact]
    public unsafe void Gather_and_scatter_keep_the_order_of_the_buffers()
    {
        (int read, int write) = NewPipe();
        byte[] first = GC.AllocateArray<byte>(3, pinned: true);
        byte[] second = GC.AllocateArray<byte>(2, pinned: true);
        "abc"u8.CopyTo(first);
        "de"u8.CopyTo(second);
        iovec[] buffers =
        [
            new() { iov_base = Unsafe.AsPointer(ref first[0]), iov_len = 3 },
            new() { iov_base = Unsafe.AsPointer(ref second[0]), iov_len = 2 },
        ];

        Assert.Equal(5, Kernel.Writev(write, buffers).Value);
        first.AsSpan().Clear();
        second.AsSpan().Clear();
        Assert.Equal(5, Kernel.Readv(read, buffers).Value);

        Assert.Equal("abc"u8, first);
        Assert.Equal("de"u8, second);
    }

    [Fact]
    public void Empty_buffers_are_harmless()
    {
        (int read, int write) = NewPipe();

        Assert.Equal(0, Kernel.Write(write, []).Value);
        Assert.Equal(0, Kernel.Writev(write, []).Value);
        SyscallResult nothing = Kernel.Read(read, []);
        Assert.True(nothing.IsSuccess);
        Assert.Equal(0, nothing.Value);
        Assert.Equal(0, Kernel.Readv(read, []).Value);
    }

    [Fact]
    public void A_fifo_is_made_and_opened_by_a_path_beyond_ascii()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("Röhre-管");

        Assert.True(Kernel.MkFifo(path, ReadWriteForTheOwner).IsSuccess);
        Assert.Equal(Errno.EEXIST, Kernel.MkFifo(path, ReadWriteForTheOwner).Errno);
        Assert.True(File.Exists(path));
        int read = _owned.Own(Kernel.Open(path, LibC.O_RDONLY | LibC.O_NONBLOCK, 0));
        int write = _owned.Own(Kernel.Open(path, LibC.O_WRONLY | LibC.O_NONBLOCK, 0));
        Assert.Equal(7, Kernel.Write(write, "seven.."u8).Value);
        Assert.Equal(7, Kernel.Read(read, new byte[16]).Value);
    }

    [Fact]
    public void Opening_what_is_not_there_is_ENOENT()
    {
        using TemporaryDirectory directory = new();

        Assert.Equal(Errno.ENOENT, Kernel.Open(directory.PathOf("nothing"), LibC.O_RDONLY, 0).Errno);
    }

    [Fact]
    public void A_created_file_gets_the_mode_that_was_asked_for()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("file");

        _owned.Own(Kernel.Open(path, TestLibC.O_CREAT | TestLibC.O_EXCL | LibC.O_WRONLY, ReadWriteForTheOwner));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public void Status_and_descriptor_flags_are_set()
    {
        (int read, _) = NewPipe();

        Assert.Equal(LibC.O_RDONLY | LibC.O_NONBLOCK, Kernel.GetFlags(read).Value);
        Assert.True(Kernel.SetFlags(read, 0).IsSuccess);
        Assert.Equal(LibC.O_RDONLY, Kernel.GetFlags(read).Value);

        Assert.Equal(0, Kernel.GetSignal(read).Value);
        Assert.True(Kernel.SetSignal(read, LibC.SIGIO).IsSuccess);
        Assert.Equal(LibC.SIGIO, Kernel.GetSignal(read).Value);

        Assert.True(IsCloseOnExec(read));
        Assert.True(Kernel.SetFdFlags(read, 0).IsSuccess);
        Assert.False(IsCloseOnExec(read));
        Assert.True(Kernel.SetFdFlags(read, LibC.FD_CLOEXEC).IsSuccess);
        Assert.True(IsCloseOnExec(read));
    }

    [Fact]
    public void A_closed_descriptor_is_EBADF()
    {
        int fd = Kernel.EventFd(0, 0).Value;

        Assert.True(Kernel.Close(fd).IsSuccess);

        // Not the number just closed: another test may have it by now. -1 is never one.
        Assert.Equal(Errno.EBADF, Kernel.Close(-1).Errno);
        Assert.Equal(Errno.EBADF, Kernel.GetFlags(-1).Errno);
        Assert.Equal(Errno.EBADF, Kernel.Read(-1, new byte[1]).Errno);
    }

    [Fact]
    public void An_eventfd_counts()
    {
        int fd = _owned.Own(Kernel.EventFd(2, LibC.EFD_NONBLOCK));
        byte[] counter = new byte[8];

        BinaryPrimitives.WriteUInt64LittleEndian(counter, 40);
        Assert.Equal(8, Kernel.Write(fd, counter).Value);
        Assert.Equal(8, Kernel.Read(fd, counter).Value);
        Assert.Equal(42ul, BinaryPrimitives.ReadUInt64LittleEndian(counter));
        Assert.True(Kernel.Read(fd, counter).WouldBlock);
        Assert.True(IsCloseOnExec(fd));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Epoll_reports_the_edge_once_with_the_cookie(bool nanoseconds)
    {
        int epoll = _owned.Own(Kernel.EpollCreate());
        (int read, int write) = NewPipe();
        EpollEventBuffer events = new(4, EpollEventLayout.Current);
        Assert.SkipWhen(
            nanoseconds && Kernel.EpollPwait2(epoll, events, 4, 0).Errno is Errno.ENOSYS or Errno.EPERM,
            "This kernel (or its seccomp profile) has no epoll_pwait2.");
        SyscallResult Wait(int milliseconds) => nanoseconds
            ? Kernel.EpollPwait2(epoll, events, 4, milliseconds * 1_000_000L)
            : Kernel.EpollWait(epoll, events, 4, milliseconds);

        Assert.True(Kernel.EpollCtl(epoll, LibC.EPOLL_CTL_ADD, read, LibC.EPOLLIN | LibC.EPOLLRDHUP | LibC.EPOLLET, Cookie).IsSuccess);
        Assert.Equal(Errno.EEXIST, Kernel.EpollCtl(epoll, LibC.EPOLL_CTL_ADD, read, LibC.EPOLLIN, 0).Errno);
        Assert.Equal(0, Wait(0).Value);
        Assert.Equal(0, Wait(1).Value);

        // -1 in either unit is no timeout: the event is there, so the wait ends.
        Kernel.Write(write, "x"u8);
        Assert.Equal(1, Wait(-1).Value);
        Assert.Equal(LibC.EPOLLIN, events.Events(0));
        Assert.Equal(Cookie, events.Data(0));
        Assert.Equal(0, Wait(0).Value);

        _owned.Close(write);
        Assert.Equal(1, Wait(-1).Value);
        Assert.Equal(LibC.EPOLLHUP, events.Events(0) & LibC.EPOLLHUP);

        Assert.True(Kernel.EpollCtl(epoll, LibC.EPOLL_CTL_DEL, read, 0, 0).IsSuccess);
        Assert.Equal(Errno.ENOENT, Kernel.EpollCtl(epoll, LibC.EPOLL_CTL_DEL, read, 0, 0).Errno);
    }

    [Fact]
    public void A_tun_name_that_does_not_fit_is_refused_and_other_files_are_no_tun()
    {
        int fd = _owned.Own(Kernel.EventFd(0, 0));

        Assert.Equal(Errno.EINVAL, Kernel.TunSetIff(fd, "sixteen-bytes-xx", LibC.IFF_TUN, out string name).Errno);
        Assert.Equal("", name);
        Assert.Equal(Errno.ENOTTY, Kernel.TunSetIff(fd, "fifteen-bytes-x", LibC.IFF_TUN, out name).Errno);
        Assert.Equal("", name);
    }

    private (int Read, int Write) NewPipe()
    {
        Assert.True(Kernel.Pipe2(out int read, out int write, LibC.O_NONBLOCK).IsSuccess);
        return (_owned.Own(read), _owned.Own(write));
    }

    private static bool IsCloseOnExec(int fd)
    {
        string flags = File.ReadLines($"/proc/self/fdinfo/{fd.ToString(CultureInfo.InvariantCulture)}")
            .Single(line => line.StartsWith("flags:", StringComparison.Ordinal));
        return (Convert.ToInt32(flags["flags:".Length..].Trim(), 8) & LibC.O_CLOEXEC) != 0;
    }
}
