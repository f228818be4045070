using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Each cell of <see cref="TurnValueTaskSource{T}"/>'s table.</summary>
public sealed class TurnValueTaskSourceTests
{
    private TurnValueTaskSource<int> _source;
    private int _continuations;

    public TurnValueTaskSourceTests() => _source.Reset();

    [Fact]
    public void Pending_completes_without_running_anything()
    {
        Assert.Equal(ValueTaskSourceStatus.Pending, _source.GetStatus(_source.Version));
        _source.SetResult(42);
        Assert.Equal(ValueTaskSourceStatus.Succeeded, _source.GetStatus(_source.Version));
        Assert.Equal(42, _source.GetResult(_source.Version));
        Assert.Equal(0, _continuations);
    }

    [Fact]
    public void Awaited_completes_inline()
    {
        Assert.False(OnCompleted());
        Assert.Equal(ValueTaskSourceStatus.Pending, _source.GetStatus(_source.Version));
        _source.SetResult(42);
        Assert.Equal(1, _continuations);
        Assert.Equal(42, _source.GetResult(_source.Version));
    }

    [Fact]
    public void Completed_asks_its_owner_to_deliver()
    {
        _source.SetResult(42);
        Assert.True(OnCompleted());
        Assert.Equal(0, _continuations);
        Assert.Equal(ValueTaskSourceStatus.Pending, _source.GetStatus(_source.Version));

        _source.Deliver();
        Assert.Equal(1, _continuations);
        Assert.Equal(ValueTaskSourceStatus.Succeeded, _source.GetStatus(_source.Version));
        Assert.Equal(42, _source.GetResult(_source.Version));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_exception_takes_the_same_ways(bool awaitedFirst)
    {
        InvalidOperationException error = new("on purpose");
        if (awaitedFirst)
        {
            OnCompleted();
        }

        _source.SetException(error);

        Assert.Equal(ValueTaskSourceStatus.Faulted, _source.GetStatus(_source.Version));
        Assert.Equal(awaitedFirst ? 1 : 0, _continuations);
        Assert.Same(error, Assert.Throws<InvalidOperationException>(() => _source.GetResult(_source.Version)));
    }

    [Fact]
    public void A_delivered_exception()
    {
        _source.SetException(new InvalidOperationException("on purpose"));
        Assert.True(OnCompleted());
        _source.Deliver();
        Assert.Equal(1, _continuations);
        Assert.Throws<InvalidOperationException>(() => _source.GetResult(_source.Version));
    }

    [Fact]
    public void A_cancellation_is_told_from_a_failure()
    {
        _source.SetException(new OperationCanceledException());
        Assert.Equal(ValueTaskSourceStatus.Canceled, _source.GetStatus(_source.Version));
        _source.Reset();
        OnCompleted();
        _source.SetException(new OperationCanceledException());
        Assert.Equal(ValueTaskSourceStatus.Canceled, _source.GetStatus(_source.Version));
    }

    [Fact]
    public void Reset_makes_older_tokens_invalid()
    {
        short old = _source.Version;
        _source.SetResult(1);
        _source.GetResult(old);
        _source.Reset();

        Assert.NotEqual(old, _source.Version);
        Assert.Throws<InvalidOperationException>(() => _source.GetStatus(old));
        Assert.Throws<InvalidOperationException>(() => _source.GetResult(old));
        _source.SetResult(2);
        Assert.Throws<InvalidOperationException>(() => _source.GetResult(old));
        Assert.Equal(2, _source.GetResult(_source.Version));
    }

    [Fact]
    public void Reset_forgets_the_last_outcome()
    {
        _source.SetException(new InvalidOperationException());
        _source.Reset();
        Assert.Equal(ValueTaskSourceStatus.Pending, _source.GetStatus(_source.Version));
        _source.SetResult(3);
        Assert.Equal(3, _source.GetResult(_source.Version));
    }

    [Fact]
    public void A_second_awaiter_is_refused()
    {
        OnCompleted();
        Assert.Throws<InvalidOperationException>(() => OnCompleted());
        _source.SetResult(1);
        Assert.Equal(1, _continuations);
    }

    [Fact]
    public void A_result_that_is_not_there_cannot_be_taken() =>
        Assert.Throws<InvalidOperationException>(() => _source.GetResult(_source.Version));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_captured_synchronization_context_is_honoured(bool awaitedFirst)
    {
        CountingContext context = new();
        SynchronizationContext? before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(context);
        try
        {
            if (!awaitedFirst)
            {
                _source.SetResult(1);
            }

            OnCompleted(ValueTaskSourceOnCompletedFlags.UseSchedulingContext);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }

        if (awaitedFirst)
        {
            _source.SetResult(1);
        }
        else
        {
            _source.Deliver();
        }

        Assert.Equal(1, context.Posts);
        Assert.Equal(1, _continuations);
    }

    /// <summary>The awaiter registers while the result arrives: the continuation runs once, on whichever side is told to.</summary>
    [Fact]
    public void Completing_and_awaiting_at_once()
    {
        bool deliverIsMine = false;
        int delivered = 0;
        Rendezvous.Race(
            rounds: 50_000,
            prepare: _ =>
            {
                _source.Reset();
                _continuations = 0;
            },
            mine: _ => deliverIsMine = OnCompleted(),
            other: i => _source.SetResult(i),
            check: i =>
            {
                Assert.Equal(deliverIsMine ? 0 : 1, _continuations);
                if (deliverIsMine)
                {
                    delivered++;
                    _source.Deliver();
                }

                Assert.Equal(1, _continuations);
                Assert.Equal(i, _source.GetResult(_source.Version));
            });
        TestContext.Current.TestOutputHelper?.WriteLine($"{delivered} deliveries by the awaiter's side");
    }

    private bool OnCompleted(ValueTaskSourceOnCompletedFlags flags = ValueTaskSourceOnCompletedFlags.None) =>
        _source.OnCompleted(static test => ((TurnValueTaskSourceTests)test!)._continuations++, this, _source.Version, flags);

    private sealed class CountingContext : SynchronizationContext
    {
        internal int Posts { get; private set; }

        public override void Post(SendOrPostCallback d, object? state)
        {
            Posts++;
            d(state);
        }
    }
}
