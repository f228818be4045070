using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>A kernel in which a signal arrives during the first two calls; the third gives <see cref="Answer"/>.</summary>
internal sealed class InterruptedKernel : SystemCalls
{
    internal const int Answer = 7;
    private const int Signals = 2;

    /// <summary>The calls that were made, interrupted ones too, by the name of the overridden method.</summary>
    internal List<string> Calls { get; } = [];

    /// <summary>The flags that the last call handed to the kernel, for calls that have some.</summary>
    internal int LastFlags { get; private set; }

    protected internal override SyscallResult EpollCreateOnce(int flags) => Next(flags);

    protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data) => Next();

    protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds) => Next();

    protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds) => Next();

    protected internal override SyscallResult EventFdOnce(uint initial, int flags) => Next(flags);

    protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer) => Next();

    protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer) => Next();

    protected internal override SyscallResult ReadvOnce(int fd, ReadOnlySpan<iovec> buffers) => Next();

    protected internal override SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers) => Next();

    protected internal override SyscallResult CloseOnce(int fd) => Next();

    protected internal override SyscallResult Pipe2Once(out int read, out int write, int flags)
    {
        read = write = -1;
        return Next(flags);
    }

    protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) => Next(flags);

    protected internal override SyscallResult MkFifoOnce(string path, uint mode) => Next();

    protected internal override SyscallResult ChmodOnce(string path, uint mode) => Next();

    protected internal override SyscallResult FchmodOnce(int fd, uint mode) => Next();

    protected internal override SyscallResult GetFlagsOnce(int fd) => Next();

    protected internal override SyscallResult SetFlagsOnce(int fd, int flags) => Next(flags);

    protected internal override SyscallResult GetSignalOnce(int fd) => Next();

    protected internal override SyscallResult SetSignalOnce(int fd, int signal) => Next(signal);

    protected internal override SyscallResult DuplicateOnce(int fd) => Next();

    protected internal override SyscallResult IdentifyOnce(string path, out FileIdentity identity)
    {
        identity = default;
        return Next();
    }

    protected internal override SyscallResult IdentifyDescriptorOnce(int fd, out FileIdentity identity)
    {
        identity = default;
        return Next();
    }

    protected internal override SyscallResult StatusOnce(int directory, string path, int flags, out FileStatus status)
    {
        status = default;
        return Next(flags);
    }

    protected internal override SyscallResult PollOnce(int fd, short events, out short revents)
    {
        revents = 0;
        return Next();
    }

    protected internal override SyscallResult PollAllOnce(Span<pollfd> asked, int timeoutMilliseconds) => Next();

    protected internal override SyscallResult GetTerminalModeOnce(int fd, out bool returnsNothing)
    {
        returnsNothing = false;
        return Next();
    }

    protected internal override SyscallResult GetTerminalNumberOnce(int master, out int number)
    {
        number = -1;
        return Next();
    }

    protected internal override SyscallResult UnlockTerminalOnce(int master) => Next();

    protected internal override SyscallResult TeeOnce(int from, int to, int count) => Next();

    protected internal override SyscallResult SetFdFlagsOnce(int fd, int flags) => Next(flags);

    protected internal override SyscallResult TunSetIffOnce(int fd, string name, short flags, out string actualName)
    {
        actualName = "";
        return Next(flags);
    }

    protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) => Next(type);

    protected internal override SyscallResult SocketPairOnce(int domain, int type, int protocol, out int first, out int second)
    {
        first = second = -1;
        return Next(type);
    }

    protected internal override SyscallResult BindOnce(int fd, ReadOnlySpan<byte> address) => Next();

    protected internal override SyscallResult ListenOnce(int fd, int backlog) => Next();

    protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
    {
        addressLength = 0;
        return Next(flags);
    }

    protected internal override SyscallResult ConnectOnce(int fd, ReadOnlySpan<byte> address) => Next();

    protected internal override SyscallResult GetSockNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        addressLength = 0;
        return Next();
    }

    protected internal override SyscallResult GetPeerNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        addressLength = 0;
        return Next();
    }

    protected internal override SyscallResult SetSockOptOnce(int fd, int level, int option, int value) => Next();

    protected internal override SyscallResult SetLingerOnce(int fd, bool on, int seconds) => Next();

    protected internal override SyscallResult GetSockOptOnce(int fd, int level, int option, out int value)
    {
        value = 0;
        return Next();
    }

    protected internal override SyscallResult GetSockOptBytesOnce(int fd, int level, int option, Span<byte> value, out int length)
    {
        length = 0;
        return Next();
    }

    protected internal override SyscallResult SetSockOptBytesOnce(int fd, int level, int option, ReadOnlySpan<byte> value) => Next();

    protected internal override SyscallResult GetPeerCredentialsOnce(int fd, out int processId, out uint userId, out uint groupId)
    {
        processId = -1;
        userId = groupId = 0;
        return Next();
    }

    protected internal override SyscallResult GetUnsentOnce(int fd) => Next();

    protected internal override SyscallResult GetThreadIdOnce() => Next();

    protected internal override SyscallResult GetThreadCpuTimeOnce(int threadId, out long nanoseconds)
    {
        nanoseconds = 0;
        return Next();
    }

    protected internal override SyscallResult SetTimerSlackOnce(long nanoseconds) => Next();

    protected internal override SyscallResult FutexWaitOnce(ref int word, int expected, long timeoutNanoseconds) => Next();

    protected internal override SyscallResult FutexWakeOnce(ref int word) => Next();

    protected internal override SyscallResult PollReadableOnce(int fd) => Next();

    protected internal override SyscallResult GetResourceLimitOnce(int resource, out long limit)
    {
        limit = 0;
        return Next();
    }

    protected internal override SyscallResult ShutdownOnce(int fd, int how) => Next();

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags) => Next(flags);

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags) => Next(flags);

    protected internal override SyscallResult SendMsgOnce(int fd, ReadOnlySpan<iovec> buffers, int flags) => Next(flags);

    private SyscallResult Next(int flags = 0, [CallerMemberName] string call = "")
    {
        LastFlags = flags;
        Calls.Add(call);
        return Calls.Count <= Signals ? SyscallResult.Failure(Errno.EINTR) : SyscallResult.Success(Answer);
    }
}
