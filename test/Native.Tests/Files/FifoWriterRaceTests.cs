using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// read(2) finds no writer and says 0; before anybody looks at that 0, the first writer comes, writes and goes. The hang-up is there by
/// then, but that 0 was not the end: the data is still to come.
/// </summary>
public sealed class FifoWriterRaceTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_first_writer_comes_and_goes_behind_an_empty_read(bool scatter)
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Kernel kernel = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, kernel);
        await using var reader = NetpollFile.Open(path, FileAccess.Read, runtime);
        kernel.AfterEmptyRead = () =>
        {
            using (var writer = NetpollFile.Open(path, FileAccess.Write))
            {
                Assert.True(SystemCalls.Instance.Write(writer.Descriptor.Fd, "data"u8).IsSuccess);
            }

            Patience.Until(() => reader.Descriptor.HangupSeen, "the hang-up is dispatched");
        };

        byte[] buffer = new byte[8];
        Assert.Equal(4, scatter ? await reader.ReadAsync([buffer.AsMemory()]) : await reader.ReadAsync(buffer));
        Assert.Equal("data"u8.ToArray(), buffer[..4]);
        Assert.Empty(await reader.ReadSomeAsync());
        Assert.Null(kernel.AfterEmptyRead);
    }

    private sealed class Kernel : SystemCalls
    {
        /// <summary>Happens once.</summary>
        internal Action? AfterEmptyRead { get; set; }

        protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer) => Observe(base.ReadOnce(fd, buffer));

        protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers) => Observe(base.ReadvOnce(fd, buffers));

        private SyscallResult Observe(SyscallResult read)
        {
            if (read.IsSuccess && read.Value == 0 && AfterEmptyRead is { } action)
            {
                AfterEmptyRead = null;
                action();
            }

            return read;
        }
    }
}
