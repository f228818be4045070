using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>The backend of runtimes that do not need a certain one: the variable NETPOLL_TEST_Backend.</summary>
internal static class SuiteBackend
{
    internal static readonly PollerBackend Chosen =
        Enum.Parse<PollerBackend>(Environment.GetEnvironmentVariable("NETPOLL_TEST_Backend") ?? nameof(PollerBackend.Epoll));
}
