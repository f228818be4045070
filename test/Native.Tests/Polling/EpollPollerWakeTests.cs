using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>Breaking a wait: once is enough, and never too late.</summary>
public sealed class EpollPollerWakeTests
{
    private const long TenSeconds = 10_000 * MonotonicClock.NanosecondsPerMillisecond;

    [Fact]
    public void Wake_ups_collapse_until_one_is_taken_in()
    {
        SimulatedKernel kernel = new();
        using EpollPoller poller = new(kernel, new DeadlineHeap(), EpollEventLayout.Current);
        PollEventBatch batch = poller.CreateBatch(1);
        for (int round = 1; round <= 3; round++)
        {
            for (int i = 0; i < 100; i++)
            {
                poller.Wake();
            }

            Assert.Equal(round, kernel.EventFdWrites);
            Assert.Equal(round, poller.Wakeups);
            poller.Wait(batch, -1);
            Assert.Equal(0, batch.Count);
            Assert.Equal(round, kernel.EventFdReads);
        }
    }

    [Fact]
    public void A_wake_up_is_taken_in_beside_other_events()
    {
        SimulatedKernel kernel = new();
        using EpollPoller poller = new(kernel, new DeadlineHeap(), EpollEventLayout.Current);
        PollEventBatch batch = poller.CreateBatch(4);
        SimulatedFile file = kernel.Create();
        poller.Open(file.Fd, out _);
        kernel.Raise(file.Fd, LibC.EPOLLIN);
        poller.Wake();
        kernel.Raise(file.Fd, LibC.EPOLLOUT);

        poller.Wait(batch, -1);

        Assert.Equal(2, batch.Count);
        poller.Wake();
        Assert.Equal(2, kernel.EventFdWrites);
    }

    [Fact]
    public void The_flag_falls_only_after_the_signal_was_taken_in()
    {
        // A wake-up between the read of the eventfd and the fall of the flag coalesces with the one being taken in; the thread
        // that takes it in looks for work afterwards. One before the read must not signal again.
        WakingKernel kernel = new();
        using EpollPoller poller = new(kernel, new DeadlineHeap(), EpollEventLayout.Current);
        kernel.DuringEventFdRead = poller.Wake;
        PollEventBatch batch = poller.CreateBatch(1);
        poller.Wake();
        poller.Wait(batch, -1);
        Assert.Equal(1, poller.Wakeups);

        kernel.DuringEventFdRead = null;
        poller.Wake();
        Assert.Equal(2, poller.Wakeups);
        poller.Wait(batch, -1);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(TenSeconds)]
    public void A_wake_up_ends_a_long_wait(long timeout)
    {
        using EpollPoller poller = CreateReal();
        Thread waiter = new(() => poller.Wait(poller.CreateBatch(1), timeout)) { IsBackground = true };
        waiter.Start();
        Thread.Sleep(5);
        poller.Wake();
        waiter.JoinInTime();
    }

    [Fact]
    public void A_wake_up_that_comes_first_ends_the_next_wait()
    {
        using EpollPoller poller = CreateReal();
        poller.Wake();
        Thread waiter = new(() => poller.Wait(poller.CreateBatch(1), -1)) { IsBackground = true };
        waiter.Start();
        waiter.JoinInTime();
    }

    /// <summary>Ten threads wake, one waits without limit; the last round has no wake-up left that could be lost.</summary>
    [Fact]
    public void Ten_concurrent_breakers()
    {
        using EpollPoller poller = CreateReal();
        int published = 0, seen = 0;
        const int Breakers = 10, WakeUps = 2000;
        Thread waiter = new(() =>
        {
            PollEventBatch batch = poller.CreateBatch(1);
            while (Volatile.Read(ref published) != Breakers * WakeUps)
            {
                poller.Wait(batch, -1);
                seen++;
            }
        })
        { IsBackground = true };
        waiter.Start();

        Thread[] breakers = [.. Enumerable.Range(0, Breakers).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < WakeUps; i++)
            {
                // The order that makes coalescing correct: publish, then wake.
                Interlocked.Increment(ref published);
                poller.Wake();
            }
        }))];
        Array.ForEach(breakers, breaker => breaker.Start());
        Array.ForEach(breakers, breaker => breaker.JoinInTime());
        waiter.JoinInTime();

        // One may still be pending; none was signalled that nobody took in.
        Assert.InRange(poller.Wakeups, seen, seen + 1);
    }

    /// <summary>One signal is meant for one thread, also when all of them wait.</summary>
    [Fact]
    public void A_wake_up_wakes_one_of_several()
    {
        using EpollPoller poller = CreateReal();
        int awake = 0;
        Thread[] waiters = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            poller.Wait(poller.CreateBatch(1), -1);
            Interlocked.Increment(ref awake);
        }))];
        Array.ForEach(waiters, waiter => waiter.Start());
        Thread.Sleep(20);
        for (int expected = 1; expected <= waiters.Length; expected++)
        {
            poller.Wake();
            Patience.Until(() => Volatile.Read(ref awake) >= expected, "a thread wakes up");
            Thread.Sleep(2);
            Assert.Equal(expected, Volatile.Read(ref awake));
        }

        Array.ForEach(waiters, waiter => waiter.JoinInTime());
    }

    private static EpollPoller CreateReal() => new(SystemCalls.Instance, new DeadlineHeap(), EpollEventLayout.Current);

    private sealed class WakingKernel : SystemCalls
    {
        internal Action? DuringEventFdRead { get; set; }

        protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer)
        {
            SyscallResult result = base.ReadOnce(fd, buffer);
            DuringEventFdRead?.Invoke();
            return result;
        }
    }
}
