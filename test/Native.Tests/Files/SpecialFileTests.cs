using System.Buffers.Binary;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Devices, kernel files and descriptors of other kinds: some can be polled and some cannot, and all of them work.</summary>
public sealed class SpecialFileTests
{
    private const string Attribute = "/sys/kernel/uevent_seqnum";

    [Theory(Timeout = Waits.Limit)]
    [InlineData("/dev/null")]
    [InlineData("/proc/stat")]
    [InlineData("/proc/mounts")]
    [InlineData("/proc/self/status")]
    [InlineData(Attribute)]
    public async Task It_is_read_to_its_end_by_several_at_once(string path)
    {
        Assert.SkipUnless(File.Exists(path), $"There is no {path} here.");
        byte[][] contents = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(async () =>
        {
            await using var file = NetpollFile.Open(path, FileAccess.Read);
            return await file.ReadToEndAsync();
        })));

        Assert.All(contents, content => Assert.Equal(path == "/dev/null", content.Length == 0));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData("/dev/null")]
    [InlineData("/dev/zero")]
    [InlineData("/dev/full")]
    [InlineData("/dev/urandom")]
    public async Task What_cannot_be_polled_says_so(string path)
    {
        await using var file = NetpollFile.Open(path, FileAccess.Read);
        Assert.False(file.IsPollable);
        Assert.Throws<NotSupportedException>(() => file.SetReadDeadline(Moments.Later));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Devices_give_and_take()
    {
        await using var zero = NetpollFile.Open("/dev/zero", FileAccess.ReadWrite);
        byte[] buffer = FileExtensions.Pattern(100_000);
        Assert.Equal(buffer.Length, await zero.ReadAsync(buffer));
        Assert.Equal(-1, buffer.AsSpan().IndexOfAnyExcept((byte)0));

        await using var random = NetpollFile.Open("/dev/random", FileAccess.Read);
        Assert.True(random.IsPollable);
        Assert.NotEqual(await random.ReadExactlyAsync(32), await random.ReadExactlyAsync(32));

        await using var nothing = NetpollFile.Open("/dev/null", FileAccess.Write);
        Assert.Equal(buffer.Length, await nothing.WriteAsync(buffer));

        await using var full = NetpollFile.Open("/dev/full", FileAccess.Write);
        IOException exception = await Assert.ThrowsAsync<IOException>(async () => await full.WriteAsync(new byte[1]));
        Assert.Contains("ENOSPC", exception.Message, StringComparison.Ordinal);
        Assert.Contains("/dev/full", exception.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_directory_opens_and_cannot_be_read()
    {
        using TemporaryDirectory directory = new();
        await using var file = NetpollFile.Open(directory.PathOf(""), FileAccess.Read);
        Assert.False(file.IsPollable);
        IOException exception = await Assert.ThrowsAsync<IOException>(() => file.ReadSomeAsync());
        Assert.Contains("EISDIR", exception.Message, StringComparison.Ordinal);
        Assert.Throws<IOException>(() => NetpollFile.Open(directory.PathOf(""), FileAccess.Write));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData("/dev/net/tun", "EBADFD")]
    [InlineData("/dev/fuse", "EPERM")]
    public async Task A_device_that_never_becomes_ready_fails_reads_instead(string path, string error)
    {
        Assert.SkipUnless(File.Exists(path) && Environment.IsPrivilegedProcess, $"{path} needs to exist, and root.");
        await using var file = NetpollFile.Open(path, FileAccess.ReadWrite);

        // The first read may be quicker than the event that tells what kind of device this is: then it has the device's own error.
        IOException exception = await Assert.ThrowsAnyAsync<IOException>(() => file.ReadSomeAsync());
        Assert.True(exception is NotPollableException || exception.Message.Contains(error, StringComparison.Ordinal), exception.ToString());

        await Waits.UntilAsync(() => file.Descriptor.Poll!.Info.Has(PollInfo.EventError));
        for (int i = 0; i < 3; i++)
        {
            await Assert.ThrowsAsync<NotPollableException>(() => file.ReadSomeAsync());
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task An_event_descriptor_counts()
    {
        await using var file = NetpollFile.FromHandle(FileLibC.ToHandle(SystemCalls.Instance.EventFd(0, 0)));
        Assert.True(file.IsPollable);
        Task<byte[]> read = file.ReadSomeAsync(8);
        await Waits.AssertPendingAsync(read);
        await file.WriteAsync(BitConverter.GetBytes(42ul));
        Assert.Equal(42ul, BinaryPrimitives.ReadUInt64LittleEndian(await read));

        // Full: the next write waits until the counter has been read.
        await file.WriteAsync(BitConverter.GetBytes(ulong.MaxValue - 1));
        Task<int> write = file.WriteAsync(BitConverter.GetBytes(1ul)).AsTask();
        await Waits.AssertPendingAsync(write);
        await file.ReadSomeAsync(8);
        Assert.Equal(8, await write);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_timer_descriptor_expires()
    {
        int fd = FileLibC.timerfd_create(FileLibC.CLOCK_MONOTONIC, LibC.O_CLOEXEC);
        await using var file = NetpollFile.FromHandle(FileLibC.ToHandle(fd));
        Task<byte[]> read = file.ReadSomeAsync(8);
        await Waits.AssertPendingAsync(read);
        for (int i = 0; i < 3; i++)
        {
            FileLibC.SetTimer(fd, TimeSpan.FromMilliseconds(5));
            Assert.Equal(1ul, BinaryPrimitives.ReadUInt64LittleEndian(await read));
            read = file.ReadSomeAsync(8);
        }

        file.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_watch_tells_of_new_files()
    {
        using TemporaryDirectory directory = new();
        int fd = FileLibC.inotify_init1(LibC.O_CLOEXEC);
        await using var file = NetpollFile.FromHandle(FileLibC.ToHandle(fd));
        Assert.Equal((true, false), (file.CanRead, file.CanWrite));
        Assert.True(FileLibC.inotify_add_watch(fd, directory.PathOf(""), FileLibC.IN_CREATE) > 0);
        foreach (string name in new[] { "one", "two" })
        {
            Task<byte[]> read = file.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await File.WriteAllTextAsync(directory.PathOf(name), "");
            Assert.Equal(name, FileLibC.NameIn(await read));
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_socket_is_a_file()
    {
        Assert.True(SystemCalls.Instance.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM, 0, out int first, out int second).IsSuccess);
        await using var one = NetpollFile.FromHandle(FileLibC.ToHandle(first));
        await using var other = NetpollFile.FromHandle(FileLibC.ToHandle(second));
        Task<byte[]> read = other.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        await one.WriteAsync("there"u8.ToArray());
        Assert.Equal("there", Encoding.UTF8.GetString(await read));
        await other.WriteAsync("back"u8.ToArray());
        Assert.Equal("back", Encoding.UTF8.GetString(await one.ReadSomeAsync()));
        one.Dispose();
        Assert.Empty(await other.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_memory_file_is_a_regular_file()
    {
        await using var file = NetpollFile.FromHandle(FileLibC.ToHandle(FileLibC.memfd_create("test", 0)));
        Assert.False(file.IsPollable);
        Assert.Equal(3, await file.WriteAsync(new byte[3]));
        Assert.Empty(await file.ReadSomeAsync());
    }
}
