using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

public sealed class PollContractTests : PollerContractTests
{
    private protected override Poller Create(SystemCalls systemCalls, DeadlineHeap deadlines) =>
        PollerBackends.Create(PollerBackend.Poll, systemCalls, deadlines);
}
