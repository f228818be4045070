using System.Text;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// O_NONBLOCK belongs to the open file, which others may share: for stdin and stdout, the shell and every child process. Nobody may find it
/// changed.
/// </summary>
public sealed class NonBlockingFlagTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task A_pipe_that_was_blocking_stays_so_for_everybody_else()
    {
        (int read, int write) = NewPipe();
        using SafeFileHandle others = FileLibC.ToHandle(FileLibC.dup(read));
        await using (var reader = NetpollFile.FromHandle(FileLibC.ToHandle(read)))
        await using (var writer = NetpollFile.FromHandle(FileLibC.ToHandle(write)))
        {
            Assert.True(reader.IsPollable && writer.IsPollable);
            Assert.False(ProcessInfo.IsNonBlocking(NumberOf(others)));
            Assert.False(ProcessInfo.IsNonBlocking(write));

            Task<byte[]> read1 = reader.ReadSomeAsync();
            await Waits.AssertPendingAsync(read1);
            await writer.WriteAsync("hello"u8.ToArray());
            Assert.Equal("hello", Encoding.UTF8.GetString(await read1));
            await writer.DisposeAsync();
            Assert.Empty(await reader.ReadSomeAsync());
        }

        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(others)));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_fifo_whose_writer_had_left_is_read_to_its_end()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        int read = SystemCalls.Instance.Open(path, LibC.O_RDONLY | LibC.O_NONBLOCK, 0).Value;
        SystemCalls.Instance.SetFlags(read, 0);
        await using (var writer = NetpollFile.Open(path, FileAccess.Write))
        {
            await writer.WriteAsync("the rest"u8.ToArray());
        }

        await using var reader = NetpollFile.FromHandle(FileLibC.ToHandle(read));
        Assert.Equal("the rest", Encoding.UTF8.GetString(await reader.ReadToEndAsync()));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_terminal_stays_blocking_and_is_the_same_terminal()
    {
        Assert.SkipUnless(File.Exists("/dev/ptmx") && Directory.Exists("/dev/pts"), "There are no pseudo-terminals here.");
        await using var master = NetpollFile.Open("/dev/ptmx", FileAccess.ReadWrite);
        string path = FileLibC.UnlockTerminal(master.Descriptor.Fd);
        int fd = SystemCalls.Instance.Open(path, LibC.O_RDWR | LibC.O_NOCTTY, 0).Value;
        await using var terminal = NetpollFile.FromHandle(FileLibC.ToHandle(fd));
        Assert.False(ProcessInfo.IsNonBlocking(fd));
        Task<byte[]> line = terminal.ReadSomeAsync();
        await Waits.AssertPendingAsync(line);
        await master.WriteAsync("typed\n"u8.ToArray());
        Assert.Equal("typed\n", Encoding.UTF8.GetString(await line));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task The_master_of_a_pseudo_terminal_cannot_be_opened_again_and_is_blocking_afterwards()
    {
        Assert.SkipUnless(File.Exists("/dev/ptmx") && Directory.Exists("/dev/pts"), "There are no pseudo-terminals here.");
        int fd = SystemCalls.Instance.Open("/dev/ptmx", LibC.O_RDWR | LibC.O_NOCTTY, 0).Value;
        using SafeFileHandle others = FileLibC.ToHandle(FileLibC.dup(fd));
        await using (var master = NetpollFile.FromHandle(FileLibC.ToHandle(fd)))
        await using (var terminal = NetpollFile.Open(FileLibC.UnlockTerminal(NumberOf(others)), FileAccess.ReadWrite))
        {
            Assert.True(ProcessInfo.IsNonBlocking(fd));
            await terminal.WriteAsync("shown"u8.ToArray());
            Assert.Equal("shown", Encoding.UTF8.GetString(await master.ReadExactlyAsync(5)));
        }

        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(others)));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_socket_is_blocking_again_when_the_last_file_over_it_has_gone()
    {
        (int first, int second) = NewSockets();
        using SafeFileHandle peer = FileLibC.ToHandle(second);
        using SafeFileHandle others = FileLibC.ToHandle(FileLibC.dup(first));
        var one = NetpollFile.FromHandle(FileLibC.ToHandle(first));
        var two = NetpollFile.FromHandle(FileLibC.ToHandle(FileLibC.dup(first)));
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(others)));

        await one.DisposeAsync();
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(others)));
        Task<byte[]> read = two.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        await two.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(others)));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task What_has_no_name_is_told_apart()
    {
        int first = SystemCalls.Instance.EventFd(0, 0).Value;
        int second = SystemCalls.Instance.EventFd(0, 0).Value;
        using SafeFileHandle others = FileLibC.ToHandle(FileLibC.dup(first));
        await using var other = NetpollFile.FromHandle(FileLibC.ToHandle(second));
        await using (NetpollFile.FromHandle(FileLibC.ToHandle(first)))
        {
            Assert.True(ProcessInfo.IsNonBlocking(first));
        }

        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(others)));
        Assert.True(ProcessInfo.IsNonBlocking(second));
    }

    [Fact]
    public void The_end_of_the_process_undoes_what_nobody_has_closed()
    {
        (int first, int second) = NewSockets();
        using SafeFileHandle left = FileLibC.ToHandle(first);
        using SafeFileHandle right = FileLibC.ToHandle(second);
        SystemCalls.Instance.SetFlags(second, LibC.O_RDWR | LibC.O_NONBLOCK);
        FileNumbers numbers = new();
        foreach (SafeFileHandle handle in new[] { left, right })
        {
            int fd = NumberOf(handle);
            Assert.True(numbers.TryAdd(SystemCalls.Instance, fd, handle));
            FileIdentity identity = FileTraits.Of(fd, SystemCalls.Instance).Identity;
            Assert.True(numbers.SetNonBlocking(SystemCalls.Instance, fd, identity).IsSuccess);
            Assert.True(ProcessInfo.IsNonBlocking(fd));
        }

        numbers.RestoreAll();
        Assert.False(ProcessInfo.IsNonBlocking(first));
        Assert.Equal(0, SystemCalls.Instance.GetSignal(first).Value);
        Assert.True(ProcessInfo.IsNonBlocking(second), "Its owner wanted it so.");
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_process_that_ends_with_files_open_leaves_what_it_shares_blocking()
    {
        using SafeFileHandle shared = FileLibC.ToHandle(SystemCalls.Instance.EventFd(0, 0).Value);
        Assert.True(SystemCalls.Instance.SetFdFlags(NumberOf(shared), 0).IsSuccess);
        Assert.Equal(ChildProgram.SawItNonBlocking, await ChildProgram.LeaveFileOpenAsync(NumberOf(shared)));
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(shared)));
        Assert.Equal(0, SystemCalls.Instance.GetSignal(NumberOf(shared)).Value);
    }

    [Fact]
    public void A_number_that_a_stranger_closed_is_not_taken_from_its_next_file()
    {
        (int first, int second) = NewSockets();
        using SafeFileHandle left = FileLibC.ToHandle(first);
        using SafeFileHandle right = FileLibC.ToHandle(second);
        FileNumbers numbers = new();
        object former = new();
        object owner = new();
        numbers.Add(SystemCalls.Instance, first, former);
        numbers.Add(SystemCalls.Instance, first, owner);
        FileIdentity identity = FileTraits.Of(first, SystemCalls.Instance).Identity;
        Assert.True(numbers.SetNonBlocking(SystemCalls.Instance, first, identity).IsSuccess);
        numbers.Remove(SystemCalls.Instance, first, former);
        Assert.True(ProcessInfo.IsNonBlocking(first));
        numbers.Remove(SystemCalls.Instance, first, owner);
        Assert.False(ProcessInfo.IsNonBlocking(first));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData("/dev/zero")]
    [InlineData(null)]
    public async Task What_cannot_be_polled_keeps_the_flag_that_its_owner_gave_it(string? device)
    {
        using TemporaryDirectory directory = new();
        string path = device ?? directory.PathOf("regular");
        if (device is null)
        {
            await File.WriteAllTextAsync(path, "content");
        }

        int fd = SystemCalls.Instance.Open(path, LibC.O_RDONLY | LibC.O_NONBLOCK, 0).Value;
        using SafeFileHandle others = FileLibC.ToHandle(FileLibC.dup(fd));
        await using (var file = NetpollFile.FromHandle(FileLibC.ToHandle(fd)))
        {
            Assert.False(file.IsPollable);
            Assert.True(ProcessInfo.IsNonBlocking(fd));
            Assert.NotEmpty(await file.ReadSomeAsync());
        }

        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(others)));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(LibC.S_IFREG)]
    [InlineData(LibC.S_IFDIR)]
    [InlineData(LibC.S_IFBLK)]
    public async Task What_fstat_calls_a_regular_file_a_directory_or_a_block_device_is_never_polled(int type)
    {
        // As a file system in user space does, the kernel would register it.
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, new TypeIs(type));
        await using PipePair pipe = new(runtime);
        Assert.False(pipe.Read.IsPollable);
        Assert.False(ProcessInfo.IsNonBlocking(pipe.Read.Descriptor.Fd));
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await pipe.Write.WriteAsync("x"u8.ToArray());
        Assert.Single(await read);
        Assert.Throws<NotSupportedException>(() => pipe.Read.SetReadDeadline(Moments.Later));
    }

    private static (int Read, int Write) NewPipe()
    {
        Assert.True(SystemCalls.Instance.Pipe2(out int read, out int write, 0).IsSuccess);
        return (read, write);
    }

    private static (int First, int Second) NewSockets()
    {
        Assert.True(SystemCalls.Instance.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM, 0, out int first, out int second).IsSuccess);
        return (first, second);
    }

    private static int NumberOf(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    private sealed class TypeIs(int type) : SystemCalls
    {
        protected internal override SyscallResult StatusOnce(int directory, string path, int flags, out FileStatus status)
        {
            status = new FileStatus(new FileIdentity(1, 1, 1, type), 0, 0);
            return SyscallResult.Success(0);
        }
    }
}
