using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class PollSemaphoreRaceTests
{
    private const int Rounds = 200_000;

    private PollSemaphore _semaphore;
    private volatile bool _stop;

    /// <summary>One thread parks and changes its mind, another releases: each parked waiter is taken by exactly one of them.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Exactly_one_party_takes_a_parked_waiter(bool ready)
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
        }) { IsBackground = true };
        releaser.Start();

        int parked = 0, unparked = 0, woken = 0;
        for (int i = 0; i < Rounds; i++)
        {
            Waiter waiter = new();
            if (!_semaphore.TryPark(waiter))
            {
                continue;
            }

            parked++;
            if (_semaphore.TryUnpark())
            {
                unparked++;
                Assert.Equal(0, Volatile.Read(ref waiter.TimesReleased));
                continue;
            }

            // Somebody else has taken it, so he must also be the one who hands it out.
            Patience.Until(() => Volatile.Read(ref waiter.TimesReleased) == 1, "the waiter is released");
            Assert.Equal(ready, _semaphore.Collect());
            woken++;
        }

        _stop = true;
        releaser.JoinInTime();
        Assert.Null(failure);
        Assert.Equal(parked, unparked + woken);
        Assert.Equal(woken, released);
    }

    private sealed class Waiter : PollWaiter
    {
        internal int TimesReleased;
    }
}
