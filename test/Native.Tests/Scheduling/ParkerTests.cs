using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>The table of <see cref="Parker"/>, with what happens between its steps put in by the kernel.</summary>
public sealed class ParkerTests
{
    private const long Long = 3_600_000_000_000;

    private readonly FutexCalls _futex = new();
    private readonly Parker _parker;

    public ParkerTests() => _parker = new Parker(_futex);

    [Fact]
    public void A_wake_up_that_came_before_is_remembered()
    {
        _parker.Unpark();
        Assert.True(_parker.Park(-1));
        Assert.Equal((0, 0), (_futex.Waits, _futex.Wakes));
    }

    [Fact]
    public void Several_wake_ups_are_remembered_as_one()
    {
        _parker.Unpark();
        _parker.Unpark();
        Assert.True(_parker.Park(-1));
        Assert.False(_parker.Park(0));
    }

    [Fact]
    public void Without_a_wake_up_the_time_runs_out()
    {
        Assert.False(_parker.Park(0));
        Assert.False(_parker.Park(1000));
        Assert.Equal(2, _futex.Waits);

        // Nobody is parked any more.
        _parker.Unpark();
        Assert.Equal(0, _futex.Wakes);
        Assert.True(_parker.Park(-1));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(Long)]
    public void A_wake_up_between_announcing_and_sleeping_keeps_it_awake(long timeout)
    {
        _futex.BeforeWait = _parker.Unpark;
        Assert.True(_parker.Park(timeout));
        Assert.Equal(1, _futex.Wakes);
    }

    [Fact]
    public void A_wake_up_after_the_time_was_up_still_counts()
    {
        _futex.AfterWait = _parker.Unpark;
        Assert.True(_parker.Park(0));
        Assert.False(_parker.Park(0));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(Long)]
    public void A_wake_up_for_no_reason_does_not_end_a_sleep(long timeout)
    {
        _futex.SpuriousWaits = 3;
        _futex.BeforeWait = () =>
        {
            if (_futex.SpuriousWaits == 0)
            {
                _parker.Unpark();
            }
        };
        Assert.True(_parker.Park(timeout));
        Assert.Equal(4, _futex.Waits);
    }

    [Fact]
    public void After_a_wake_up_for_no_reason_the_rest_of_the_time_is_slept()
    {
        _futex.SpuriousWaits = 1;
        _futex.BeforeWait = () =>
        {
            if (_futex.Waits == 2)
            {
                _parker.Unpark();
            }
        };
        Assert.True(_parker.Park(Long));
        Assert.InRange(_futex.LastTimeout, 0, Long - 1);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(Long)]
    public void Another_thread_wakes_a_sleeper(long timeout)
    {
        bool woken = false;
        Thread sleeper = new(() => woken = _parker.Park(timeout)) { IsBackground = true, Name = "sleeper" };
        sleeper.Start();
        Patience.Until(() => _futex.Waits == 1, "it is about to sleep");
        _parker.Unpark();
        sleeper.JoinInTime();
        Assert.True(woken);
    }

    /// <summary>Two threads that wake each other in turn: one wake-up lost, and both sleep for ever.</summary>
    [Fact]
    public void No_wake_up_is_lost()
    {
        const int Rounds = 3_000;
        int seed = SeededRandom.NewSeed();
        Parker ping = new(SystemCalls.Instance), pong = new(SystemCalls.Instance);
        int turn = 0;
        Thread[] threads = [Player(0, ping, pong), Player(1, pong, ping)];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.JoinInTime());
        Assert.Equal(2 * Rounds, turn);

        Thread Player(int id, Parker mine, Parker others) => new(() =>
        {
            Random random = new(seed + id);
            for (int round = 0; round < Rounds; round++)
            {
                // A sleep with a limit now and then: woken or late, the wake-up must not get lost.
                while (Volatile.Read(ref turn) % 2 != id)
                {
                    mine.Park(random.Next(4) == 0 ? random.Next(20_000) : -1);
                }

                Thread.SpinWait(random.Next(100));
                Interlocked.Increment(ref turn);
                others.Unpark();
            }
        })
        { IsBackground = true, Name = $"player {id}" };
    }

    private sealed class FutexCalls : SystemCalls
    {
        private int _waits;
        private int _wakes;

        internal Action? BeforeWait { get; set; }

        internal Action? AfterWait { get; set; }

        internal int SpuriousWaits { get; set; }

        internal long LastTimeout { get; private set; }

        internal int Waits => Volatile.Read(ref _waits);

        internal int Wakes => Volatile.Read(ref _wakes);

        protected internal override SyscallResult FutexWaitOnce(ref int word, int expected, long timeoutNanoseconds)
        {
            Interlocked.Increment(ref _waits);
            LastTimeout = timeoutNanoseconds;
            BeforeWait?.Invoke();
            if (SpuriousWaits > 0)
            {
                SpuriousWaits--;
                return SyscallResult.Success(0);
            }

            SyscallResult result = base.FutexWaitOnce(ref word, expected, timeoutNanoseconds);
            Action? after = AfterWait;
            AfterWait = null;
            after?.Invoke();
            return result;
        }

        protected internal override SyscallResult FutexWakeOnce(ref int word)
        {
            Interlocked.Increment(ref _wakes);
            return base.FutexWakeOnce(ref word);
        }
    }
}
