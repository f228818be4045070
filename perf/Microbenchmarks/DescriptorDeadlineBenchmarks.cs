using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// Deadlines as a connection sets them, with <see cref="Armed"/> other descriptors that have one. Moving a deadline later does not touch
/// the heap, so that <see cref="MoveLater"/> should cost the same at every size; compare it with <see cref="DeadlineHeapBenchmarks.Move"/>,
/// which is what it avoids.
/// </summary>
public class DescriptorDeadlineBenchmarks
{
    // Far away: what is armed here fires only where a benchmark says so.
    private const long Far = long.MaxValue / 2;

    private DeadlineHeap _heap = null!;
    private PollDescriptor _descriptor = null!;
    private long _later;

    [Params(1, 1_000, 100_000)]
    public int Armed { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _heap = new DeadlineHeap();
        var table = new PollDescriptorTable(_heap);
        var random = new Random(1);
        for (int i = 0; i < Armed; i++)
        {
            table.Allocate(hangupWaiter: null).SetDeadline(PollMode.Read, Far + random.Next(), out _);
        }

        _descriptor = table.Allocate(hangupWaiter: null);
        _later = Far;
        _descriptor.SetDeadline(PollMode.Read, _later, out _);
    }

    /// <summary>Moves the deadline later: what a connection does at each request.</summary>
    [Benchmark]
    public bool MoveLater() => _descriptor.SetDeadline(PollMode.Read, ++_later, out _);

    /// <summary>Sets a deadline earlier than all others, fires it, and clears the expiry.</summary>
    [Benchmark]
    public bool SetAndExpire()
    {
        _descriptor.SetDeadline(PollMode.Read, 1, out _);
        bool expired = _heap.TryTakeExpired(1, out DeadlineTimer timer, out uint sequence);
        ((PollDeadline)timer).Fire(sequence, 1, out _);
        _descriptor.SetDeadline(PollMode.Read, PollDeadline.None, out _);
        return expired;
    }
}
