using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Somebody has closed the number of a file, against the rule, and it is something else's by now: that must not be
/// closed.</summary>
public sealed class LostNumberTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData("opened")]
    [InlineData("opened, handle shown")]
    [InlineData("taken")]
    [InlineData("taken and opened again")]
    [InlineData("taken, and not owned")]
    public async Task The_successor_of_the_number_stays_open(string how)
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        int flags = how == "taken and opened again" ? LibC.O_RDWR : LibC.O_RDWR | LibC.O_NONBLOCK;
        int taken = how.StartsWith("taken", StringComparison.Ordinal) ? SystemCalls.Instance.Open(path, flags, mode: 0).Value : -1;
        NetpollFile file = taken == -1
            ? NetpollFile.Open(path, FileAccess.ReadWrite)
            : NetpollFile.FromHandle(new SafeFileHandle(taken, ownsHandle: how != "taken, and not owned"));
        if (how == "opened, handle shown")
        {
            Assert.False(file.SafeHandle.IsClosed);
        }

        int number = file.Descriptor.Fd;
        Assert.Equal(how is "taken" or "taken, and not owned", number == taken);
        using SafeFileHandle successor = FileLibC.ToHandle(SystemCalls.Instance.EventFd(0, LibC.EFD_NONBLOCK).Value);
        int[] lost = taken == -1 || taken == number ? [number] : [number, taken];
        foreach (int fd in lost)
        {
            Assert.Equal(fd, FileLibC.dup2((int)successor.DangerousGetHandle(), fd));
        }

        string? link = ProcessInfo.LinkOf(number);
        await file.DisposeAsync();

        foreach (int fd in lost)
        {
            Assert.Equal(link, ProcessInfo.LinkOf(fd));
            Assert.True(ProcessInfo.IsNonBlocking(fd));
            Assert.True(SystemCalls.Instance.Close(fd).IsSuccess);
        }
    }

    /// <summary>The number is another file's, and of the same kind: it goes on hearing of its events.</summary>
    [Fact(Timeout = Waits.Limit)]
    public async Task A_file_that_has_got_the_number_stays_open_and_registered()
    {
        ChosenNumber kernel = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, kernel);
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        NetpollFile former = NetpollFile.Open(path, FileAccess.ReadWrite, runtime);
        kernel.Number = former.Descriptor.Fd;
        await using NetpollFile file = NetpollFile.Open(path, FileAccess.ReadWrite, runtime);
        Assert.Equal(former.Descriptor.Fd, file.Descriptor.Fd);

        Task<byte[]> read = file.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        await former.DisposeAsync();
        await file.WriteAsync("x"u8.ToArray());
        Assert.Equal("x"u8.ToArray(), await read);
    }

    // Gives out a number that is in use, as it would if somebody had closed it.
    private sealed class ChosenNumber : SystemCalls
    {
        internal int? Number { get; set; }

        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode)
        {
            SyscallResult opened = base.OpenOnce(path, flags, mode);
            if (opened.IsError || Number is not { } number)
            {
                return opened;
            }

            Assert.Equal(number, FileLibC.dup2(opened.Value, number));
            base.CloseOnce(opened.Value);
            return SyscallResult.Success(number);
        }
    }
}
