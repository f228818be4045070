using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class PollSemaphoreRaceTests
{
    private const int Rounds = 100_000;

    private PollSemaphore _semaphore;
    private volatile bool _stop;

    /// <summary>
    /// One thread announces waiters and parks every other one, another releases: a waiter that was parked is handed out once, one that was
    /// not is never handed out.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_parked_waiter_is_handed_out_exactly_once(bool ready)
    {
        long released = 0;
        Exception? failure = null;
        Thread releaser = new(() =>
        {
            while (!_stop)
            {
                if (_semaphore.Unblock(ready) is Waiter waiter)
                {
                    released++;
                    if (Interlocked.Increment(ref waiter.TimesReleased) != 1)
                    {
                        failure = new InvalidOperationException("A waiter was released twice.");
                    }
                }
            }
        })
        { IsBackground = true };
        releaser.Start();

        int parked = 0;
        for (int i = 0; i < Rounds; i++)
        {
            Waiter waiter = new();
            if (!_semaphore.TryAnnounce())
            {
                continue;
            }

            if ((i & 1) == 0)
            {
                _semaphore.Withdraw();
                Assert.Equal(0, Volatile.Read(ref waiter.TimesReleased));
                continue;
            }

            if (!_semaphore.TryCommit(waiter))
            {
                Assert.Equal(0, Volatile.Read(ref waiter.TimesReleased));
                continue;
            }

            parked++;
            Patience.Until(() => Volatile.Read(ref waiter.TimesReleased) == 1, "the waiter is released");
            Assert.Equal(ready, _semaphore.Collect());
        }

        _stop = true;
        releaser.JoinInTime();
        Assert.Null(failure);
        Assert.Equal(parked, released);
    }

    private sealed class Waiter : PollWaiter
    {
        internal int TimesReleased;
    }
}
