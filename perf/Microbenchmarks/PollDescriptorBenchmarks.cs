using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// What one event costs in the descriptor itself: no system call, no queue, no turn. Compare with <see cref="EpollRoundTripBenchmarks"/>,
/// of which it is a part, and which the system calls should dominate.
/// </summary>
public class PollDescriptorBenchmarks
{
    private readonly PollDescriptor _descriptor = new PollDescriptorTable(new DeadlineHeap()).Allocate(hangupWaiter: null);
    private readonly ReadyList _ready = new(4);
    private readonly NoTurn _turn = new();
    private uint _fdseq;

    [GlobalSetup]
    public void Setup() => _fdseq = _descriptor.Info.Fdseq;

    /// <summary>Parks a waiter, hands it out to an event, and lets it collect why it runs: a read that has to wait.</summary>
    [Benchmark(Baseline = true)]
    public bool ParkAndWake()
    {
        bool parked = _descriptor.BeginWait(PollMode.Read, _turn) == PollResult.Pending;
        _descriptor.OnEvent(_fdseq, PollReadiness.Readable, _ready);
        PollWaiter woken = _ready.Take(0);
        _ready.Clear();
        return parked && ReferenceEquals(woken, _turn) && _descriptor.EndWait(PollMode.Read) == PollResult.Ready;
    }

    /// <summary>The event comes first, and the waiter does not park.</summary>
    [Benchmark]
    public bool EventBeforeWait()
    {
        _descriptor.OnEvent(_fdseq, PollReadiness.Readable, _ready);
        return _descriptor.BeginWait(PollMode.Read, _turn) == PollResult.Ready;
    }

    /// <summary>An event of a file that had the slot before: it is dropped.</summary>
    [Benchmark]
    public bool StaleEvent() => _descriptor.OnEvent(_fdseq - 1, PollReadiness.Readable, _ready);
}
