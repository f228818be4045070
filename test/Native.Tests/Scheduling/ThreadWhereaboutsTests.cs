using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class ThreadWhereaboutsTests
{
    [Theory]
    [InlineData("0 0x5 0x7f 0x1", Architecture.X64, "read")]
    [InlineData("63 0x5 0x7f 0x1", Architecture.Arm64, "read")]
    [InlineData("441 0x5", Architecture.X64, "epoll_pwait2")]
    [InlineData("441 0x5", Architecture.Arm64, "epoll_pwait2")]
    [InlineData("202", Architecture.X64, "futex")]
    [InlineData("202\n", Architecture.Arm64, "accept")]
    [InlineData("9999 0x0", Architecture.X64, "system call 9999")]
    [InlineData("0 0x0", Architecture.S390x, "system call 0")]
    [InlineData("running\n", Architecture.X64, null)]
    [InlineData("-1 0x7f 0x7f", Architecture.X64, null)]
    [InlineData("", Architecture.X64, null)]
    [InlineData(null, Architecture.X64, null)]
    public void The_call_is_the_number_in_front(string? syscall, Architecture architecture, string? name) =>
        Assert.Equal(name, ThreadWhereabouts.NameOf(syscall, architecture));

    [Theory]
    [InlineData("pipe_read", "pipe_read")]
    [InlineData("0", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void Where_the_kernel_shows_no_call_it_may_show_a_place(string? wchan, string? place) =>
        Assert.Equal(place, ThreadWhereabouts.PlaceOf(wchan));

    [Theory]
    [InlineData("7 (x) S 1", "0 0x5", "pipe_read", "read")]
    [InlineData("7 (x) D 1", null, "pipe_read", "pipe_read")]
    [InlineData("7 (x) S 1", "-1 0x5", "0", null)]
    public void A_thread_that_sleeps_is_in_a_call(string stat, string? syscall, string wchan, string? call)
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "The numbers are those of x64.");
        using FakeKernelFolder folder = new();
        folder.Write("/proc/self/task/7/stat", stat);
        folder.Write("/proc/self/task/7/wchan", wchan);
        if (syscall is not null)
        {
            folder.Write("/proc/self/task/7/syscall", syscall);
        }

        Assert.Equal(new ThreadWhereabouts(ThreadOccupation.KernelCall, call), ThreadWhereabouts.Ask(folder.Files, 7));
    }

    [Fact]
    public void One_that_runs_computes_and_one_that_is_gone_is_not_known()
    {
        using FakeKernelFolder folder = new();
        folder.Write("/proc/self/task/7/stat", "7 (x) R 1");
        Assert.Equal(new ThreadWhereabouts(ThreadOccupation.Computing, null), ThreadWhereabouts.Ask(folder.Files, 7));
        Assert.Equal(default, ThreadWhereabouts.Ask(folder.Files, 8));
    }
}
