using System.Collections.Concurrent;
using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// A turn's way through a processor's queue, without contention; figures are per turn. Compare with a <see cref="ConcurrentQueue{T}"/>,
/// which is what the group's queue is, and which every thread may push to. <see cref="PushStealPop"/> lets half of the turns pass through
/// a thief's queue: what it costs more than <see cref="PushPop"/> is the stealing.
/// </summary>
public class RunQueueBenchmarks
{
    private const int Turns = 64;

    private readonly RunQueue _queue = new();
    private readonly RunQueue _thief = new();
    private readonly ConcurrentQueue<Turn> _concurrentQueue = new();
    private readonly NoTurn _turn = new();

    [Benchmark(Baseline = true, OperationsPerInvoke = Turns)]
    public int PushPop()
    {
        Push();
        return PopAll(_queue);
    }

    [Benchmark(OperationsPerInvoke = Turns)]
    public int PushStealPop()
    {
        Push();
        _queue.StealInto(_thief);
        return PopAll(_queue) + PopAll(_thief);
    }

    /// <summary>As <see cref="PushPop"/>, and the owner lets go of what was taken, as it does before it sleeps.</summary>
    [Benchmark(OperationsPerInvoke = Turns)]
    public int PushPopForget()
    {
        Push();
        int popped = PopAll(_queue);
        _queue.ForgetTaken();
        return popped;
    }

    [Benchmark(OperationsPerInvoke = Turns)]
    public int ConcurrentQueue()
    {
        for (int i = 0; i < Turns; i++)
        {
            _concurrentQueue.Enqueue(_turn);
        }

        int popped = 0;
        while (_concurrentQueue.TryDequeue(out _))
        {
            popped++;
        }

        return popped;
    }

    private void Push()
    {
        for (int i = 0; i < Turns; i++)
        {
            _queue.TryPush(_turn);
        }
    }

    private static int PopAll(RunQueue queue)
    {
        int popped = 0;
        while (queue.TryPop(out _))
        {
            popped++;
        }

        return popped;
    }
}
