using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>No source of turns starves the others, however busy it is.</summary>
public sealed class QueueFairnessTests : IDisposable
{
    private const int OwnTurnsBetween = 60;
    private const int GroupTurnsBetweenPolls = 16;

    private readonly SimulatedKernel _kernel = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly EpollPoller _poller;
    private readonly WorkerGroup _group;

    public QueueFairnessTests()
    {
        _poller = new EpollPoller(_kernel, new DeadlineHeap(), EpollEventLayout.Current);
        _group = Groups.CreateByHand(processors: 2, batchSize: 1, _poller, _kernel, _current);
    }

    private Processor Processor => _group.Processors[0];

    public void Dispose()
    {
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void Every_61st_turn_is_the_groups_though_the_own_queue_is_never_empty()
    {
        CallbackTurn own = new(), others = new();
        for (int round = 0; round < 4; round++)
        {
            _group.Schedule(others);
            for (int i = 0; i < OwnTurnsBetween; i++)
            {
                Assert.True(Processor.Queue.TryPush(own));
                Assert.Same(own, Take());
            }

            Assert.True(Processor.Queue.TryPush(own));
            Assert.Same(others, Take());
            Assert.Same(own, TakeOwn());
        }

        Turn? TakeOwn()
        {
            // Not through the group: that would count as a turn.
            Assert.True(Processor.Queue.TryPop(out Turn? turn));
            return turn;
        }
    }

    [Fact]
    public void With_an_empty_group_queue_the_61st_turn_is_an_own_one()
    {
        CallbackTurn own = new();
        for (int i = 0; i < 5 * OwnTurnsBetween; i++)
        {
            Assert.True(Processor.Queue.TryPush(own));
            Assert.Same(own, Take());
        }
    }

    [Fact]
    public void Own_turns_come_before_the_groups()
    {
        CallbackTurn own = new(), others = new();
        _group.Schedule(others);
        Assert.True(Processor.Queue.TryPush(own));
        Assert.Same(own, Take());
        Assert.Same(others, Take());
        Assert.Null(Take());
    }

    [Fact]
    public void After_16_turns_of_the_group_the_poller_is_looked_at()
    {
        for (int i = 0; i < GroupTurnsBetweenPolls + 1; i++)
        {
            _group.Schedule(new CallbackTurn());
        }

        for (int i = 0; i < GroupTurnsBetweenPolls; i++)
        {
            Assert.NotNull(Take());
        }

        Assert.Null(Take());
        int waits = _kernel.Waits.Count;
        _group.FindWork(Processor);
        Assert.Equal(waits + 1, _kernel.Waits.Count);
        Assert.Equal(0, _kernel.Waits[^1].Timeout);
        Assert.NotNull(Take());
    }

    /// <summary>The turn of the group may block: who sleeps takes the own one.</summary>
    [Fact]
    public void A_turn_left_behind_for_one_of_the_group_wakes_a_sleeper()
    {
        Assert.True(_group.TryBeginSleep(_group.Processors[1], out _));
        CallbackTurn first = new();
        _group.Schedule(first);
        _poller.Wait(_poller.CreateBatch(1), timeoutNanoseconds: 0);
        Assert.True(Processor.Queue.TryPush(new CallbackTurn()));
        Processor.Tick = OwnTurnsBetween;
        int signals = _kernel.EventFdWrites;

        Assert.Same(first, Take());
        Assert.Equal(signals + 1, _kernel.EventFdWrites);
    }

    [Fact]
    public void A_worker_that_finds_nothing_steals_half_from_another()
    {
        CallbackTurn[] turns = [.. Enumerable.Range(0, 5).Select(_ => new CallbackTurn())];
        Assert.All(turns, turn => Assert.True(_group.Processors[1].Queue.TryPush(turn)));
        Assert.Null(Take());
        _group.FindWork(Processor);
        Assert.Equal(3, Processor.Counters.StolenTurns);
        Assert.Equal<Turn?>(turns[..3], [Take(), Take(), Take()]);
        Assert.Null(Take());
        Assert.Equal(2, _group.Processors[1].Queue.Count);
    }

    private Turn? Take() => _group.TryTakeTurn(Processor, out Turn? turn) ? turn : null;
}
