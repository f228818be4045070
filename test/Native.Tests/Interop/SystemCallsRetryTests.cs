using System.Reflection;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>EINTR is handled in <see cref="SystemCalls"/> and nowhere else, so each of its methods is enumerated here.</summary>
public sealed class SystemCallsRetryTests
{
    private static readonly EpollEventBuffer Events = new(1, EpollEventLayout.Current);

    private static readonly int[] Word = [0];

    /// <summary>Calls that are made again, as often as signals come, until they give something else.</summary>
    private static readonly Dictionary<string, Func<SystemCalls, SyscallResult>> Retried = new()
    {
        ["EpollCreateOnce"] = calls => calls.EpollCreate(),
        ["EpollCtlOnce"] = calls => calls.EpollCtl(0, LibC.EPOLL_CTL_ADD, 1, 0, 0),
        ["EventFdOnce"] = calls => calls.EventFd(0, 0),
        ["ReadOnce"] = calls => calls.Read(0, []),
        ["WriteOnce"] = calls => calls.Write(0, []),
        ["ReadvOnce"] = calls => calls.Readv(0, []),
        ["WritevOnce"] = calls => calls.Writev(0, []),
        ["Pipe2Once"] = calls => calls.Pipe2(out _, out _, 0),
        ["OpenOnce"] = calls => calls.Open("x", 0, 0),
        ["MkFifoOnce"] = calls => calls.MkFifo("x", 0),
        ["ChmodOnce"] = calls => calls.Chmod("x", 0),
        ["FchmodOnce"] = calls => calls.Fchmod(0, 0),
        ["GetFlagsOnce"] = calls => calls.GetFlags(0),
        ["SetFlagsOnce"] = calls => calls.SetFlags(0, 0),
        ["GetSignalOnce"] = calls => calls.GetSignal(0),
        ["SetSignalOnce"] = calls => calls.SetSignal(0, 0),
        ["DuplicateOnce"] = calls => calls.Duplicate(0),
        ["IdentifyOnce"] = calls => calls.Identify("x", out _),
        ["IdentifyDescriptorOnce"] = calls => calls.Identify(0, out _),
        ["StatusOnce"] = calls => calls.GetStatus(0, out _),
        ["PollOnce"] = calls => calls.Poll(0, LibC.POLLIN, out _),
        ["GetTerminalModeOnce"] = calls => calls.GetTerminalMode(0, out _),
        ["GetTerminalNumberOnce"] = calls => calls.GetTerminalNumber(0, out _),
        ["UnlockTerminalOnce"] = calls => calls.UnlockTerminal(0),
        ["TeeOnce"] = calls => calls.Tee(0, 1, 1),
        ["SetFdFlagsOnce"] = calls => calls.SetFdFlags(0, 0),
        ["TunSetIffOnce"] = calls => calls.TunSetIff(0, "", 0, out _),
        ["SocketOnce"] = calls => calls.Socket(0, 0, 0),
        ["SocketPairOnce"] = calls => calls.SocketPair(0, 0, 0, out _, out _),
        ["BindOnce"] = calls => calls.Bind(0, []),
        ["ListenOnce"] = calls => calls.Listen(0, 1),
        ["Accept4Once"] = calls => calls.Accept4(0, [], out _, 0),
        ["GetSockNameOnce"] = calls => calls.GetSockName(0, [], out _),
        ["GetPeerNameOnce"] = calls => calls.GetPeerName(0, [], out _),
        ["SetSockOptOnce"] = calls => calls.SetSockOpt(0, 0, 0, 0),
        ["SetLingerOnce"] = calls => calls.SetLinger(0, true, 0),
        ["GetSockOptOnce"] = calls => calls.GetSockOpt(0, 0, 0, out _),
        ["GetSockOptBytesOnce"] = calls => calls.GetSockOptBytes(0, 0, 0, [], out _),
        ["SetSockOptBytesOnce"] = calls => calls.SetSockOptBytes(0, 0, 0, []),
        ["GetPeerCredentialsOnce"] = calls => calls.GetPeerCredentials(0, out _, out _, out _),
        ["GetUnsentOnce"] = calls => calls.GetUnsent(0),
        ["ShutdownOnce"] = calls => calls.Shutdown(0, 0),
        ["RecvOnce"] = calls => calls.Recv(0, [], 0),
        ["SendOnce"] = calls => calls.Send(0, [], 0),
        ["SendMsgOnce"] = calls => calls.SendMsg(0, [], 0),
        ["GetThreadIdOnce"] = calls => calls.GetThreadId(),
        ["GetThreadCpuTimeOnce"] = calls => calls.GetThreadCpuTime(1, out _),
        ["SetTimerSlackOnce"] = calls => calls.SetTimerSlack(1),
        ["FutexWakeOnce"] = calls => calls.FutexWake(ref Word[0]),
        ["PollReadableOnce"] = calls => calls.PollReadable(0),
        ["GetResourceLimitOnce"] = calls => calls.GetResourceLimit(LibC.RLIMIT_NOFILE, out _),
    };

    /// <summary>Calls that a signal ends, and what the caller is told instead of EINTR.</summary>
    private static readonly Dictionary<string, (Func<SystemCalls, SyscallResult> Call, Errno Errno)> MadeOnce = new()
    {
        ["EpollWaitOnce"] = (calls => calls.EpollWait(0, Events, 1, -1), Errno.Success),
        ["EpollPwait2Once"] = (calls => calls.EpollPwait2(0, Events, 1, -1), Errno.Success),
        ["PollAllOnce"] = (calls => calls.PollAll([], -1), Errno.Success),
        ["FutexWaitOnce"] = (calls => calls.FutexWait(ref Word[0], 0, -1), Errno.Success),
        ["CloseOnce"] = (calls => calls.Close(0), Errno.Success),
        ["ConnectOnce"] = (calls => calls.Connect(0, []), Errno.EINPROGRESS),
    };

    private static readonly Dictionary<string, int> FlagsThatCouldBeForgotten = new()
    {
        ["EpollCreateOnce"] = LibC.EPOLL_CLOEXEC,
        ["EventFdOnce"] = LibC.EFD_CLOEXEC,
        ["Pipe2Once"] = LibC.O_CLOEXEC,
        ["OpenOnce"] = LibC.O_CLOEXEC,
        ["SocketOnce"] = LibC.SOCK_CLOEXEC,
        ["SocketPairOnce"] = LibC.SOCK_CLOEXEC,
        ["Accept4Once"] = LibC.SOCK_CLOEXEC,
        ["SendOnce"] = LibC.MSG_NOSIGNAL,
        ["SendMsgOnce"] = LibC.MSG_NOSIGNAL,
    };

    public static TheoryData<string> FlaggedNames => [.. FlagsThatCouldBeForgotten.Keys];

    public static TheoryData<string> RetriedNames => [.. Retried.Keys];

    public static TheoryData<string> MadeOnceNames => [.. MadeOnce.Keys];

    [Theory]
    [MemberData(nameof(RetriedNames))]
    public void An_interrupted_call_is_made_again(string name)
    {
        InterruptedKernel kernel = new();

        SyscallResult result = Retried[name](kernel);

        Assert.Equal([name, name, name], kernel.Calls);
        Assert.Equal(InterruptedKernel.Answer, result.Value);
    }

    [Theory]
    [MemberData(nameof(MadeOnceNames))]
    public void An_interrupted_wait_close_or_connect_is_not(string name)
    {
        InterruptedKernel kernel = new();

        SyscallResult result = MadeOnce[name].Call(kernel);

        Assert.Equal([name], kernel.Calls);
        Assert.Equal(MadeOnce[name].Errno, result.Errno);
        if (result.IsSuccess)
        {
            Assert.Equal(0, result.Value);
        }
    }

    [Fact]
    public void The_tables_above_name_every_overridable_call()
    {
        const BindingFlags Declared = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly;
        string[] overridable = [.. typeof(SystemCalls).GetMethods(Declared).Where(m => m.IsVirtual).Select(m => m.Name).Order()];
        string[] replaced = [.. typeof(InterruptedKernel).GetMethods(Declared).Where(m => m.IsVirtual).Select(m => m.Name).Order()];

        Assert.Equal(overridable, Retried.Keys.Concat(MadeOnce.Keys).Order());
        Assert.Equal(overridable, replaced);
    }

    [Theory]
    [MemberData(nameof(FlaggedNames))]
    public void Flags_that_a_caller_could_forget_are_always_there(string name)
    {
        InterruptedKernel kernel = new();
        int flag = FlagsThatCouldBeForgotten[name];

        Retried[name](kernel);

        Assert.NotEqual(0, flag);
        Assert.Equal(flag, kernel.LastFlags & flag);
    }

    [Fact]
    public void A_path_with_a_zero_in_it_never_reaches_the_kernel()
    {
        InterruptedKernel kernel = new();

        Assert.Equal(Errno.EINVAL, kernel.Open("/dev/null\0/x", LibC.O_RDONLY, 0).Errno);
        Assert.Equal(Errno.EINVAL, kernel.MkFifo("fifo\0", 0x180).Errno);
        Assert.Equal(Errno.EINVAL, kernel.Chmod("fifo\0", 0x180).Errno);
        Assert.Equal(Errno.EINVAL, kernel.Identify("sock\0et", out _).Errno);
        Assert.Equal(Errno.EINVAL, kernel.GetStatus("fi\0fo", out _).Errno);
        Assert.Empty(kernel.Calls);
    }
}
