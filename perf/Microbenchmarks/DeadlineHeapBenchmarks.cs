using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// Deadlines at random moments in a heap that holds <see cref="Armed"/> of them. What is set is also taken out, so that their number
/// stays. Compare the sizes: each factor of a thousand is five levels of the heap. <see cref="TimerChange"/> is the framework's way, one
/// timer per deadline; it has no levels, but walks its timers when they fire. Most deadlines of a server never get here at all: see
/// <see cref="DescriptorDeadlineBenchmarks"/>.
/// </summary>
public class DeadlineHeapBenchmarks
{
    private const int Mask = 0xffff;
    private const long Longest = 60 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly long[] _delays = new long[Mask + 1];
    private readonly DeadlineHeap _heap = new();
    private readonly Entry _extra = new();
    private Entry[] _entries = [];
    private Timer[] _timers = [];
    private int[] _order = [];
    private uint _next;

    [Params(1, 1_000, 100_000)]
    public int Armed { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        FillIn();
        _entries = new Entry[Armed];
        for (int i = 0; i < Armed; i++)
        {
            _entries[i] = new Entry();
            _heap.Arm(_entries[i], 1 + NextDelay(), sequence: 1);
        }
    }

    [GlobalSetup(Target = nameof(TimerChange))]
    public void SetupTimers()
    {
        FillIn();
        _timers = new Timer[Armed];
        for (int i = 0; i < Armed; i++)
        {
            _timers[i] = new Timer(static _ => { }, state: null, NextTimerDelay(), Timeout.InfiniteTimeSpan);
        }
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (Timer timer in _timers)
        {
            timer.Dispose();
        }
    }

    /// <summary>Sets one more deadline and clears it again.</summary>
    [Benchmark]
    public bool SetAndClear()
    {
        bool earliest = _heap.Arm(_extra, 1 + NextDelay(), sequence: 1);
        _heap.Disarm(_extra);
        return earliest;
    }

    /// <summary>Moves one of the deadlines to another moment, earlier or later.</summary>
    [Benchmark(Baseline = true)]
    public bool Move() => _heap.Arm(_entries[NextIndex()], 1 + NextDelay(), sequence: 1);

    /// <summary>Takes the first deadline out as expired, and sets it again at a random moment behind it.</summary>
    [Benchmark]
    public bool ExpireAndSet()
    {
        _heap.TryTakeExpired(long.MaxValue - 1, out DeadlineTimer timer, out uint sequence);
        return _heap.Arm(timer, timer.When + NextDelay(), sequence);
    }

    /// <summary>For comparison: moves one of as many timers of the framework.</summary>
    [Benchmark]
    public bool TimerChange() => _timers[NextIndex()].Change(NextTimerDelay(), Timeout.InfiniteTimeSpan);

    // Beforehand, so that no measurement contains the making of random numbers.
    private void FillIn()
    {
        var random = new Random(1);
        _order = new int[_delays.Length];
        for (int i = 0; i < _delays.Length; i++)
        {
            _delays[i] = random.NextInt64(Longest);
            _order[i] = random.Next(Armed);
        }
    }

    private long NextDelay() => _delays[_next++ & Mask];

    private int NextIndex() => _order[_next & Mask];

    // None fires while it is measured.
    private TimeSpan NextTimerDelay() => TimeSpan.FromHours(1) + TimeSpan.FromTicks(NextDelay());

    private sealed class Entry : DeadlineTimer;
}
