using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Opening that waits: for the other end of a FIFO, and for the holder of a lease.</summary>
public sealed class OpenAsyncTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string _path;

    public OpenAsyncTests()
    {
        _path = _directory.PathOf("fifo");
        NetpollFile.CreateFifo(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = Waits.Limit)]
    public async Task A_writer_waits_for_a_reader()
    {
        Task<NetpollFile> opening = NetpollFile.OpenAsync(_path, FileAccess.Write);
        await Waits.AssertPendingAsync(opening);
        await using var reader = NetpollFile.Open(_path, FileAccess.Read);
        await using NetpollFile writer = await opening;
        await writer.WriteAsync("order 1\n"u8.ToArray());
        Assert.Equal("order 1\n", Encoding.UTF8.GetString(await reader.ReadSomeAsync()));

        // And it hears that the reader has gone.
        await reader.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(() => writer.WriteAsync(new byte[1]).AsTask());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_reader_waits_for_a_writer_that_says_nothing()
    {
        Task<NetpollFile> opening = NetpollFile.OpenAsync(_path, FileAccess.Read);
        await Waits.AssertPendingAsync(opening);
        await using var writer = NetpollFile.Open(_path, FileAccess.Write);
        await using NetpollFile reader = await opening;
        await writer.WriteAsync("all of it"u8.ToArray());
        Assert.Equal("all of it", Encoding.UTF8.GetString(await reader.ReadSomeAsync()));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData("said something and left")]
    [InlineData("")]
    public async Task A_reader_does_not_miss_a_writer_that_comes_and_goes(string text)
    {
        Task<NetpollFile> opening = NetpollFile.OpenAsync(_path, FileAccess.Read);
        await using (var writer = NetpollFile.Open(_path, FileAccess.Write))
        {
            await writer.WriteAsync(Encoding.UTF8.GetBytes(text));
        }

        await using NetpollFile reader = await opening;
        Assert.Equal(text, Encoding.UTF8.GetString(await reader.ReadToEndAsync()));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Both_sides_may_wait_for_each_other()
    {
        Task<NetpollFile> writing = NetpollFile.OpenAsync(_path, FileAccess.Write);
        Task<NetpollFile> reading = NetpollFile.OpenAsync(_path, FileAccess.Read);
        await using NetpollFile writer = await writing;
        await using NetpollFile reader = await reading;
        await writer.WriteAsync(new byte[1]);
        Assert.Single(await reader.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Nobody_is_waited_for_otherwise()
    {
        await using NetpollFile both = await NetpollFile.OpenAsync(_path, FileAccess.ReadWrite);
        Assert.True(both.IsPollable);
        string regular = _directory.PathOf("regular");
        await File.WriteAllTextAsync(regular, "content");
        await using NetpollFile file = await NetpollFile.OpenAsync(regular, FileAccess.Read, Moments.Later);
        Assert.Equal("content", Encoding.UTF8.GetString(await file.ReadSomeAsync()));
        await Assert.ThrowsAsync<FileNotFoundException>(() => NetpollFile.OpenAsync(_directory.PathOf("missing"), FileAccess.Read));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(FileAccess.Read)]
    [InlineData(FileAccess.Write)]
    public async Task A_deadline_or_a_token_ends_the_wait_and_nothing_stays_open(FileAccess access)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await Assert.ThrowsAsync<DeadlineExceededException>(
            () => NetpollFile.OpenAsync(_path, access, Moments.In(TimeSpan.FromMilliseconds(30)), runtime, CancellationToken.None));
        await Assert.ThrowsAsync<DeadlineExceededException>(
            () => NetpollFile.OpenAsync(_path, access, Moments.Past, runtime, CancellationToken.None));
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(30));
        OperationCanceledException exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => NetpollFile.OpenAsync(_path, access, null, runtime, cancellation.Token));
        Assert.Equal(cancellation.Token, exception.CancellationToken);
        Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
    }

    [Fact]
    public void Only_a_fifo_is_said_to_need_a_reader()
    {
        IOException exception = Assert.Throws<IOException>(() => NetpollFile.Open(_path, FileAccess.Write));
        Assert.Contains(nameof(NetpollFile.OpenAsync), exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ReadWrite", exception.Message, StringComparison.Ordinal);

        string path = _directory.PathOf("socket");
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        foreach (FileAccess access in new[] { FileAccess.Read, FileAccess.Write, FileAccess.ReadWrite })
        {
            exception = Assert.Throws<IOException>(() => NetpollFile.Open(path, access));
            Assert.Contains("Unix socket", exception.Message, StringComparison.Ordinal);
            Assert.Contains("ENXIO", exception.Message, StringComparison.Ordinal);
        }

        // A device that is not there.
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, new NoSuchDevice());
        exception = Assert.Throws<IOException>(() => NetpollFile.Open("/dev/null", FileAccess.Read, runtime));
        Assert.Contains("ENXIO", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("FIFO", exception.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_leased_file_is_waited_for(bool synchronously)
    {
        string path = _directory.PathOf("leased");
        await File.WriteAllTextAsync(path, "content");
        using var lease = new SafeFileHandle(SystemCalls.Instance.Open(path, LibC.O_RDWR, 0).Value, ownsHandle: true);
        int fd = (int)lease.DangerousGetHandle();
        const int SetLease = 1024;
        const int WriteLease = 1;
        const int NoLease = 2;
        Assert.SkipUnless(LeaseSignal.Ignore() && TestLibC.fcntl(fd, SetLease, WriteLease) == 0, "This file system gives no leases.");

        Task<NetpollFile> opening = synchronously
            ? Task.Factory.StartNew(() => NetpollFile.Open(path, FileAccess.Read), TaskCreationOptions.LongRunning)
            : NetpollFile.OpenAsync(path, FileAccess.Read);
        await Waits.AssertPendingAsync(opening);
        Assert.Equal(0, TestLibC.fcntl(fd, SetLease, NoLease));
        await using NetpollFile file = await opening;
        Assert.False(ProcessInfo.IsNonBlocking(file.Descriptor.Fd));
        Assert.Equal("content", Encoding.UTF8.GetString(await file.ReadSomeAsync()));
    }

    [Fact]
    public void A_missing_directory_is_told_from_a_missing_file()
    {
        Assert.Throws<FileNotFoundException>(() => NetpollFile.Open(_directory.PathOf("missing"), FileAccess.Read));
        Assert.Throws<DirectoryNotFoundException>(() => NetpollFile.Open(_directory.PathOf("no/such/place"), FileAccess.Read));
        Assert.Throws<DirectoryNotFoundException>(() => NetpollFile.CreateFifo(_directory.PathOf("no/such/place"), UnixFileMode.UserRead));
    }

    [Theory]
    [InlineData("a name that is too long")]
    [InlineData("sixteen-bytes-ok")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("a:b")]
    [InlineData("..")]
    [InlineData("a\0b")]
    public void A_name_that_no_interface_can_have_is_a_wrong_argument(string name)
    {
        ArgumentException exception = Assert.Throws<ArgumentException>(() => NetpollFile.OpenTun(name, tap: false));
        Assert.Equal("name", exception.ParamName);
    }

    // The kernel tells the holder of a lease with SIGIO, which would end the process.
    private static class LeaseSignal
    {
        private const int Sigio = 29;
        private const nint IgnoreSignal = 1;

        internal static bool Ignore() => FileLibC.signal(Sigio, IgnoreSignal) != -1;
    }

    private sealed class NoSuchDevice : SystemCalls
    {
        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) => SyscallResult.Failure(Errno.ENXIO);
    }
}
