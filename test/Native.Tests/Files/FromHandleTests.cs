using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Taking over descriptors that somebody else opened.</summary>
public sealed class FromHandleTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task It_takes_the_descriptor_over()
    {
        (int read, int write) = NewPipe(flags: 0);
        SafeFileHandle handle = FileLibC.ToHandle(read);
        await using var writer = NetpollFile.FromHandle(FileLibC.ToHandle(write));
        var reader = NetpollFile.FromHandle(handle);

        // Disposing of the handle must not close the descriptor.
        handle.Dispose();
        string? link = ProcessInfo.LinkOf(read);
        await writer.WriteAsync("still open"u8.ToArray());
        Assert.Equal("still open", Encoding.UTF8.GetString(await reader.ReadSomeAsync()));

        await reader.DisposeAsync();
        Assert.NotEqual(link, ProcessInfo.LinkOf(read));
    }

    [Fact]
    public void Handles_that_are_not_open_are_refused()
    {
        Assert.Throws<ArgumentNullException>(() => NetpollFile.FromHandle(null!));
        Assert.Throws<ArgumentException>(() => NetpollFile.FromHandle(new SafeFileHandle(-1, ownsHandle: true)));

        SafeFileHandle closed = FileLibC.ToHandle(SystemCalls.Instance.EventFd(0, 0));
        closed.Dispose();
        Assert.Throws<ArgumentException>(() => NetpollFile.FromHandle(closed));
    }

    [Fact]
    public void A_number_that_nobody_has_opened_is_refused()
    {
        // Far above every descriptor of this process.
        IOException exception = Assert.Throws<IOException>(() => NetpollFile.FromHandle(new SafeFileHandle(1 << 29, ownsHandle: true)));
        Assert.Contains("EBADF", exception.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public async Task A_pipe_is_read_and_written_without_blocking(int flags)
    {
        (int read, int write) = NewPipe(flags);
        Assert.Equal(flags != 0, ProcessInfo.IsNonBlocking(read));
        await using var reader = NetpollFile.FromHandle(FileLibC.ToHandle(read));
        await using var writer = NetpollFile.FromHandle(FileLibC.ToHandle(write));
        Assert.True(ProcessInfo.IsNonBlocking(reader.Descriptor.Fd));
        Assert.True(ProcessInfo.IsNonBlocking(writer.Descriptor.Fd));
        Assert.Equal(flags != 0, ProcessInfo.IsNonBlocking(read));
        Assert.True(reader.IsPollable);

        // So a blocked read can be ended: by a deadline, and by closing.
        reader.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(10)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => reader.ReadSomeAsync());
        reader.SetReadDeadline(null);
        Task<byte[]> blocked = reader.ReadSomeAsync();
        await Waits.AssertPendingAsync(blocked);
        await reader.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => blocked);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_finds_out_what_the_descriptor_was_opened_for()
    {
        (int read, int write) = NewPipe(flags: 0);
        await using var reader = NetpollFile.FromHandle(FileLibC.ToHandle(read));
        await using var writer = NetpollFile.FromHandle(FileLibC.ToHandle(write));
        await using var both = NetpollFile.FromHandle(FileLibC.ToHandle(SystemCalls.Instance.EventFd(0, 0)));
        Assert.Equal((true, false), (reader.CanRead, reader.CanWrite));
        Assert.Equal((false, true), (writer.CanRead, writer.CanWrite));
        Assert.Equal((true, true), (both.CanRead, both.CanWrite));
        Assert.Contains(read.ToString(System.Globalization.CultureInfo.InvariantCulture), reader.Name, StringComparison.Ordinal);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(FileOptions.None)]
    [InlineData(FileOptions.Asynchronous)]
    public async Task A_file_that_cannot_be_polled_stays_as_it_was(FileOptions options)
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("regular");
        await using (var file = NetpollFile.FromHandle(
            File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite, options)))
        {
            Assert.False(file.IsPollable);
            Assert.False(ProcessInfo.IsNonBlocking(file.Descriptor.Fd));
            await file.WriteAsync("written"u8.ToArray());
        }

        Assert.Equal("written", await File.ReadAllTextAsync(path));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_duplicate_keeps_the_pipe_open_but_not_the_file()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await using PipePair pipe = new(runtime);
        await using var duplicate = NetpollFile.FromHandle(FileLibC.ToHandle(FileLibC.dup(pipe.Read.Descriptor.Fd)), runtime);
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        await pipe.Read.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);

        Task<byte[]> other = duplicate.ReadSomeAsync();
        await pipe.Write.WriteAsync("x"u8.ToArray());
        Assert.Equal("x"u8.ToArray(), await other);

        // close(2) does not end the registration of a descriptor that has a duplicate: it must have been removed first.
        Assert.Equal(0, runtime.GetStatistics().StaleEvents);
    }

    [Fact]
    public void Failing_closes_the_descriptor()
    {
        // An O_PATH descriptor is open and good for nothing: epoll does not take it.
        using TemporaryDirectory directory = new();
        const int PathOnly = 0x200000;
        int fd = SystemCalls.Instance.Open(directory.PathOf(""), PathOnly, mode: 0).Value;
        string? link = ProcessInfo.LinkOf(fd);
        Assert.NotNull(link);
        Assert.ThrowsAny<IOException>(() => NetpollFile.FromHandle(FileLibC.ToHandle(fd)));
        Assert.NotEqual(link, ProcessInfo.LinkOf(fd));
    }

    private static (int Read, int Write) NewPipe(int flags)
    {
        Assert.True(SystemCalls.Instance.Pipe2(out int read, out int write, flags).IsSuccess);
        return (read, write);
    }
}
