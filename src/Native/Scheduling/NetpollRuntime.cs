using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>The engine: its worker groups, from start to stop. Thread-safe.</summary>
internal sealed class NetpollRuntime : IDisposable
{
    // For files that are opened without a runtime of their own. Their continuations run on the thread pool, so that one dispatching thread
    // is enough. It hands off all the same: another process that shares a terminal can make it blocking, and then a read of it blocks, and
    // a write whose reader keeps up takes long. It lives as long as the process.
    private static readonly SharedRuntime SharedInstance = new();

    private readonly ThreadLocal<Worker?> _current = new();
    private readonly WorkerGroup[] _groups;
    private readonly WorkerLimit _limit;
    private readonly SystemMonitor? _monitor;
    private readonly TimeSpan _stopTimeout;
    private int _nextGroup;
    private int _disposed;

    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    /// <exception cref="IOException">The kernel refuses what the backend needs, such as an epoll instance.</exception>
    internal NetpollRuntime(NetpollRuntimeOptions? options = null, SystemCalls? systemCalls = null)
    {
        options ??= new NetpollRuntimeOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.WorkerCount, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.EventBatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.GroupCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.GroupCount, options.WorkerCount);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWorkerCount, options.WorkerCount);
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("The netpoll engine needs Linux.");
        }

        SystemCalls = systemCalls ?? SystemCalls.Instance;
        _stopTimeout = options.StopTimeout;
        var headroom = new WorkerHeadroom(options.Resources ?? CreateResources(), Environment.ProcessorCount);
        _limit = new WorkerLimit(options.MaxWorkerCount, options.OnWorkerLimitReached, headroom);
        _monitor = options.HandsOff
            ? new SystemMonitor(options.Name, SystemCalls, observer: options.Observer, adaptsPace: options.Parts.MonitorPace)
            : null;
        _groups = new WorkerGroup[options.GroupCount];
        int started = 0;
        try
        {
            for (; started < _groups.Length; started++)
            {
                _groups[started] = StartGroup(started, options);
            }

            _monitor?.Watch(_groups);
            _monitor?.Start();
        }
        catch
        {
            // A group that failed to start has seen to itself.
            Stop(_groups.AsSpan(0, started), _stopTimeout);
            throw;
        }
    }

    /// <exception cref="PlatformNotSupportedException">Not Linux, or neither x64 nor arm64.</exception>
    /// <exception cref="IOException">The kernel refuses an epoll instance now; the next call tries again.</exception>
    internal static NetpollRuntime Shared => SharedInstance.Get();

    internal SystemCalls SystemCalls { get; }

    internal IReadOnlyList<WorkerGroup> Groups => _groups;

    internal int WorkerCount => _groups.Sum(static group => group.ProcessorCount);

    /// <summary>The group that the next descriptor goes to: one after the other.</summary>
    internal WorkerGroup NextGroup() =>
        _groups.Length == 1 ? _groups[0] : _groups[(uint)Interlocked.Increment(ref _nextGroup) % (uint)_groups.Length];

    /// <summary>
    /// Where a new descriptor goes that a group has at hand: to the group with the fewest, and rather to that one than to another that is
    /// no better off.
    /// </summary>
    internal WorkerGroup ChooseGroup(WorkerGroup atHand)
    {
        if (_groups.Length == 1)
        {
            return atHand;
        }

        WorkerGroup chosen = atHand;
        int fewest = atHand.Poller.Table.OpenCount;
        foreach (WorkerGroup group in _groups)
        {
            int open = group.Poller.Table.OpenCount;
            if (open < fewest)
            {
                chosen = group;
                fewest = open;
            }
        }

        return chosen;
    }

    internal NetpollStatistics GetStatistics()
    {
        var sum = default(NetpollStatistics);
        foreach (WorkerGroup group in _groups)
        {
            group.AddCountersTo(ref sum);
        }

        return sum with { WorkerLimitReached = _limit.Reached };
    }

    /// <summary>As <see cref="Stop(TimeSpan)"/>, with the time limit of the options.</summary>
    public void Dispose() => Stop(_stopTimeout);

    /// <summary>
    /// Stops the workers and waits for those that are not stuck in a turn; what waits behind a turn that is goes to the thread pool. Close
    /// the descriptors first: afterwards nothing is woken by events, though closing still delivers its completions. Only the first call
    /// does something.
    /// </summary>
    /// <param name="timeout">For how long workers that are inside turns are waited for.</param>
    /// <returns>How many of them have not come back. They leave by themselves when they do, and nothing that they need is gone by
    /// then.</returns>
    internal int Stop(TimeSpan timeout) => Interlocked.Exchange(ref _disposed, 1) == 0 ? Stop(_groups, timeout) : 0;

    private int Stop(ReadOnlySpan<WorkerGroup> groups, TimeSpan timeout)
    {
        // First: whoever has been taken off the spares has got its processor, or is back, by the time the groups stop.
        _monitor?.Stop();
        foreach (WorkerGroup group in groups)
        {
            group.SendAllHeld();
            group.RequestStop();
        }

        // What waits behind the turn that disposes of the runtime may be what another group's turn waits for.
        foreach (WorkerGroup group in groups)
        {
            if (group.IsWorkerThread)
            {
                group.Abandon();
            }
        }

        // One time limit for all of them.
        long deadline = MonotonicClock.After(timeout);
        int leftBehind = 0;
        foreach (WorkerGroup group in groups)
        {
            int left = group.WaitForWorkers(deadline);
            if (left != 0)
            {
                group.Abandon();
                leftBehind += left;
            }
        }

        return leftBehind;
    }

    // Not through the calls of this runtime, which tests replace: it is about the machine that they run on.
    private static SystemResources CreateResources() => new(new KernelFiles(SystemCalls.Instance));

    private WorkerGroup StartGroup(int id, NetpollRuntimeOptions options)
    {
        int workers = options.WorkerCount / options.GroupCount;
        if (id < options.WorkerCount % options.GroupCount)
        {
            workers++;
        }

        Poller poller = PollerBackends.Create(options.Backend, SystemCalls, new DeadlineHeap());
        var setup = new WorkerGroupSetup(options.Name, workers, options.EventBatchSize, options.SpareIdleTime, _limit, _monitor)
        {
            BusyPolls = options.BusyPolls && options.Parts.BusyPolling,
            Gathers = options.Parts.IdleProcessors,
            MetersLoad = options.Parts.LoadMeter,
        };
        var group = new WorkerGroup(id, setup, poller, SystemCalls, _current);
        group.Start();
        return group;
    }

    // Not a Lazy: that would remember a failure, which may only have been that too many files were open for a moment.
    private sealed class SharedRuntime
    {
        // Guards _runtime while it is made.
        private readonly Lock _lock = new();
        private NetpollRuntime? _runtime;

        internal NetpollRuntime Get()
        {
            if (Volatile.Read(ref _runtime) is { } runtime)
            {
                return runtime;
            }

            lock (_lock)
            {
                if (_runtime is null)
                {
                    var created = new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = 1, Name = "netpoll files" });
                    Volatile.Write(ref _runtime, created);
                }

                return _runtime;
            }
        }
    }
}
