using System.Diagnostics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>Makes the backend that was chosen. Whether it can run is <see cref="Scheduling.PlatformSupport"/>'s to say.</summary>
internal static class PollerBackends
{
    /// <exception cref="PlatformNotSupportedException">Neither x64 nor arm64.</exception>
    /// <exception cref="IOException">The kernel refuses what the backend needs.</exception>
    internal static Poller Create(PollerBackend backend, SystemCalls systemCalls, DeadlineHeap deadlines) => backend switch
    {
        PollerBackend.Epoll => new EpollPoller(systemCalls, deadlines, EpollEventLayout.Current),
        PollerBackend.Poll => new PollPoller(systemCalls, deadlines),
        _ => throw new UnreachableException(),
    };

    /// <summary>As people write it, and as <see cref="Poller.Name"/> has it.</summary>
    internal static string NameOf(PollerBackend backend) => backend switch
    {
        PollerBackend.Epoll => EpollPoller.BackendName,
        PollerBackend.Poll => PollPoller.BackendName,
        _ => throw new UnreachableException(),
    };
}
