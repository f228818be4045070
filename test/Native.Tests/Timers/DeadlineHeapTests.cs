using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Timers;

public sealed class DeadlineHeapTests
{
    private readonly DeadlineHeap _heap = new();

    [Fact]
    public void An_empty_heap_has_nothing_due()
    {
        Assert.Equal(DeadlineHeap.None, _heap.Earliest);
        Assert.Equal(0, _heap.Count);
        Assert.False(_heap.TryTakeExpired(long.MaxValue - 1, out _, out _));
        _heap.Disarm(new Timer(0));
    }

    [Fact]
    public void A_timer_is_due_at_its_moment_and_not_before()
    {
        Timer timer = new(0);
        Assert.True(_heap.Arm(timer, 100, sequence: 7));
        Assert.Equal(100, _heap.Earliest);
        Assert.False(_heap.TryTakeExpired(99, out _, out _));

        Assert.True(_heap.TryTakeExpired(100, out DeadlineTimer taken, out uint sequence));
        Assert.Same(timer, taken);
        Assert.Equal(7u, sequence);
        Assert.Equal(DeadlineTimer.NotInHeap, timer.HeapIndex);
        Assert.Equal(DeadlineHeap.None, _heap.Earliest);
        Assert.False(_heap.TryTakeExpired(100, out _, out _));
    }

    [Fact]
    public void Arming_says_whether_the_earliest_has_moved()
    {
        Timer first = new(0), second = new(1);
        Assert.True(_heap.Arm(first, 100, 1));
        Assert.False(_heap.Arm(second, 100, 1));
        Assert.False(_heap.Arm(second, 200, 2));
        Assert.True(_heap.Arm(second, 50, 3));
        Assert.Equal(50, _heap.Earliest);
        Assert.Equal(2, _heap.Count);
    }

    [Fact]
    public void Moving_an_armed_timer_replaces_its_moment_and_its_sequence()
    {
        Timer timer = new(0);
        _heap.Arm(timer, 100, 1);
        _heap.Arm(timer, 50, 2);
        _heap.Arm(timer, 70, 3);
        Assert.Equal(1, _heap.Count);
        Assert.False(_heap.TryTakeExpired(60, out _, out _));
        Assert.True(_heap.TryTakeExpired(70, out _, out uint sequence));
        Assert.Equal(3u, sequence);
    }

    [Fact]
    public void A_disarmed_timer_never_fires_and_can_be_armed_again()
    {
        Timer timer = new(0);
        _heap.Arm(timer, 100, 1);
        _heap.Disarm(timer);
        _heap.Disarm(timer);
        Assert.Equal(DeadlineHeap.None, _heap.Earliest);
        Assert.False(_heap.TryTakeExpired(1000, out _, out _));
        _heap.Arm(timer, 200, 2);
        Assert.True(_heap.TryTakeExpired(200, out _, out _));
    }

    /// <summary>Random arms, moves, disarms and takes against a model that sorts.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(50)]
    [InlineData(1000)]
    public void It_agrees_with_a_model(int timerCount)
    {
        Random random = SeededRandom.Create();
        Timer[] timers = [.. Enumerable.Range(0, timerCount).Select(id => new Timer(id))];
        SortedSet<(long When, int Id)> model = [];
        uint[] sequences = new uint[timerCount];
        for (int step = 0; step < 50_000; step++)
        {
            Timer timer = timers[random.Next(timerCount)];
            switch (random.Next(4))
            {
                case 0 or 1:
                    long when = random.Next(1, timerCount * 4);
                    if (timer.HeapIndex != DeadlineTimer.NotInHeap)
                    {
                        model.Remove((timer.When, timer.Id));
                    }

                    model.Add((when, timer.Id));
                    long before = _heap.Earliest;
                    bool moved = _heap.Arm(timer, when, ++sequences[timer.Id]);
                    if (when < before)
                    {
                        Assert.True(moved);
                    }

                    break;
                case 2:
                    if (timer.HeapIndex != DeadlineTimer.NotInHeap)
                    {
                        model.Remove((timer.When, timer.Id));
                    }

                    _heap.Disarm(timer);
                    break;
                default:
                    TakeAndCompare(model, sequences, model.Count == 0 ? 0 : model.Min.When - random.Next(2));
                    break;
            }

            Assert.Equal(model.Count, _heap.Count);
            Assert.Equal(model.Count == 0 ? DeadlineHeap.None : model.Min.When, _heap.Earliest);
        }

        while (model.Count != 0)
        {
            TakeAndCompare(model, sequences, long.MaxValue - 1);
        }

        Assert.Equal(0, _heap.Count);
    }

    [Fact]
    public void A_hundred_thousand_timers_come_out_in_order()
    {
        const int Count = 100_000;
        Random random = SeededRandom.Create();
        for (int i = 0; i < Count; i++)
        {
            _heap.Arm(new Timer(i), random.Next(1, int.MaxValue), 0);
        }

        Assert.Equal(Count, _heap.Count);
        long last = 0;
        for (int i = 0; i < Count; i++)
        {
            Assert.True(_heap.TryTakeExpired(long.MaxValue - 1, out DeadlineTimer timer, out _));
            Assert.True(timer.When >= last);
            last = timer.When;
        }

        Assert.Equal(DeadlineHeap.None, _heap.Earliest);
    }

    /// <summary>Ever earlier and later deadlines from many threads (golang/go#35367): afterwards it is still a heap.</summary>
    [Fact]
    public void Threads_do_not_break_it()
    {
        const int ThreadCount = 4, TimersOfEach = 100;
        int taken = 0, armed = 0;
        Thread[] threads = [.. Enumerable.Range(0, ThreadCount).Select(id => new Thread(() =>
        {
            Random random = new(id);
            Timer[] timers = [.. Enumerable.Range(0, TimersOfEach).Select(i => new Timer(i))];
            for (int i = 0; i < 25_000; i++)
            {
                Timer timer = timers[random.Next(TimersOfEach)];
                if (random.Next(3) == 0)
                {
                    _heap.Disarm(timer);
                }
                else
                {
                    _heap.Arm(timer, random.Next(1, 1_000_000), 0);
                }

                if (i % 16 == 0 && _heap.TryTakeExpired(random.Next(1_000_000), out _, out _))
                {
                    Interlocked.Increment(ref taken);
                }
            }

            Interlocked.Add(ref armed, timers.Count(timer => timer.HeapIndex != DeadlineTimer.NotInHeap));
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.JoinInTime());

        long last = 0;
        int left = _heap.Count;
        Assert.True(left <= armed);
        for (int i = 0; i < left; i++)
        {
            long earliest = _heap.Earliest;
            Assert.True(_heap.TryTakeExpired(earliest, out DeadlineTimer timer, out _));
            Assert.Equal(earliest, timer.When);
            Assert.True(timer.When >= last);
            last = timer.When;
        }

        Assert.Equal(0, _heap.Count);
        Assert.True(taken > 0);
    }

    private void TakeAndCompare(SortedSet<(long When, int Id)> model, uint[] sequences, long now)
    {
        bool expected = model.Count != 0 && model.Min.When <= now;
        Assert.Equal(expected, _heap.TryTakeExpired(now, out DeadlineTimer taken, out uint sequence));
        if (expected)
        {
            // Equal moments may come in any order.
            var timer = (Timer)taken;
            Assert.Equal(model.Min.When, timer.When);
            Assert.Equal(sequences[timer.Id], sequence);
            Assert.True(model.Remove((timer.When, timer.Id)));
        }
    }

    private sealed class Timer(int id) : DeadlineTimer
    {
        internal int Id { get; } = id;
    }
}
