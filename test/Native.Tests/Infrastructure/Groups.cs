using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Worker groups without threads.</summary>
internal static class Groups
{
    internal static WorkerGroup CreateByHand(
        int processors,
        int batchSize,
        Poller poller,
        SystemCalls systemCalls,
        ThreadLocal<Worker?> current,
        SystemMonitor? monitor = null,
        int maxWorkers = 100,
        int id = 0,
        TimeSpan? spareIdleTime = null,
        bool busyPolls = false)
    {
        WorkerLimit limit = new(maxWorkers, onReached: null);
        WorkerGroupSetup setup = new("by hand", processors, batchSize, spareIdleTime ?? Patience.Limit, limit, monitor)
        {
            BusyPolls = busyPolls,
        };
        WorkerGroup group = new(id, setup, poller, systemCalls, current);

        // The test is the worker: somebody is there to run what is scheduled.
        group.Pool.Enter();
        return group;
    }
}
