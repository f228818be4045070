using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>The state word: whose move ends a turn.</summary>
public sealed class ProcessorTests
{
    private readonly Processor _processor = new(0, new NoBatch());
    private readonly CallbackTurn _turn = new();

    [Fact]
    public void It_begins_between_turns()
    {
        Assert.Equal(0, _processor.State);
        Assert.False(Processor.IsInTurn(_processor.State));
        Assert.Null(_processor.Current);
        Assert.Equal(Processor.Awake, _processor.SleepsUntil);
    }

    [Fact]
    public void A_turn_makes_the_state_odd_and_its_end_even()
    {
        for (int i = 0; i < 5; i++)
        {
            long state = _processor.BeginTurn(_turn);
            Assert.Equal(state, _processor.State);
            Assert.True(Processor.IsInTurn(state));
            Assert.Same(_turn, _processor.Current);

            Assert.True(_processor.TryEndTurn(state));
            Assert.Equal(state + 1, _processor.State);
            Assert.False(Processor.IsInTurn(_processor.State));
        }
    }

    [Fact]
    public void Who_comes_second_does_not_end_the_turn()
    {
        long state = _processor.BeginTurn(_turn);
        Assert.True(_processor.TryEndTurn(state));
        Assert.False(_processor.TryEndTurn(state));
        Assert.Equal(state + 1, _processor.State);
    }

    [Fact]
    public void A_state_of_an_earlier_turn_does_not_end_a_later_one()
    {
        long first = _processor.BeginTurn(_turn);
        Assert.True(_processor.TryEndTurn(first));
        long second = _processor.BeginTurn(_turn);
        Assert.NotEqual(first, second);
        Assert.False(_processor.TryEndTurn(first));
        Assert.Equal(second, _processor.State);
        Assert.True(_processor.TryEndTurn(second));
    }

    [Fact]
    public void It_forgets_what_has_run()
    {
        Assert.True(_processor.Queue.TryPush(_turn));
        Assert.True(_processor.Queue.TryPop(out Turn? turn));
        Assert.True(_processor.TryEndTurn(_processor.BeginTurn(turn)));
        _processor.Forget();
        Assert.Null(_processor.Current);
        Assert.All(RunQueueFields.Slots(_processor.Queue), Assert.Null);
    }

    [Fact]
    public void Of_holder_and_monitor_exactly_one_ends_a_turn()
    {
        long state = 0;
        bool holder = false, monitor = false;
        Rendezvous.Race(
            rounds: 4_000,
            prepare: _ => state = _processor.BeginTurn(_turn),
            mine: _ => holder = _processor.TryEndTurn(state),
            other: _ => monitor = _processor.TryEndTurn(state),
            check: round =>
            {
                Assert.True(holder ^ monitor, $"round {round}: holder {holder}, monitor {monitor}");
                Assert.Equal(state + 1, _processor.State);
            });
    }

    private sealed class NoBatch() : PollEventBatch(1);
}
