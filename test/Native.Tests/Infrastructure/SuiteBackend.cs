using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>The backend of runtimes that do not need a certain one: the variable NETPOLL_TEST_Backend.</summary>
internal static class SuiteBackend
{
    internal static readonly PollerBackend Chosen =
        Enum.Parse<PollerBackend>(Environment.GetEnvironmentVariable("NETPOLL_TEST_Backend") ?? nameof(PollerBackend.Epoll));

    private static readonly Lazy<NetpollRuntime> OwnFiles =
        new(static () => new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = 1, Name = "files", Backend = Chosen }));

    /// <summary>For files: the runtime that those of a program share, which is on epoll, or one like it on another backend.</summary>
    internal static NetpollRuntime Files => Chosen == PollerBackend.Epoll ? NetpollRuntime.Shared : OwnFiles.Value;
}
