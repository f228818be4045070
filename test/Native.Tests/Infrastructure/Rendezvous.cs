namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// Where two threads meet, again and again, by spinning: they leave within nanoseconds of each other, which is what makes a race
/// likely. Ends both when one of them fails.
/// </summary>
internal sealed class Rendezvous
{
    private int _arrivals;
    private volatile bool _broken;

    /// <summary>False: the other thread has given up.</summary>
    internal bool Meet()
    {
        int target = Interlocked.Increment(ref _arrivals);
        target += target & 1;
        var spinner = default(SpinWait);
        while (Volatile.Read(ref _arrivals) < target && !_broken)
        {
            spinner.SpinOnce(sleep1Threshold: -1);
        }

        return !_broken;
    }

    internal void Break() => _broken = true;

    /// <summary>
    /// Runs two loops against each other. Each round: <paramref name="prepare"/>, then both sides at once, then
    /// <paramref name="check"/>; preparing and checking happen on the calling thread.
    /// </summary>
    internal static void Race(int rounds, Action<int> prepare, Action<int> mine, Action<int> other, Action<int> check)
    {
        Rendezvous rendezvous = new();
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                for (int i = 0; i < rounds && rendezvous.Meet(); i++)
                {
                    other(i);
                    rendezvous.Meet();
                }
            }
            catch (Exception exception)
            {
                failure = exception;
                rendezvous.Break();
            }
        })
        { IsBackground = true, Name = "other side" };
        thread.Start();

        try
        {
            for (int i = 0; i < rounds; i++)
            {
                prepare(i);
                if (!rendezvous.Meet())
                {
                    break;
                }

                // Shifts the two sides against each other from round to round.
                Thread.SpinWait(i % 64);
                mine(i);
                if (!rendezvous.Meet())
                {
                    break;
                }

                check(i);
            }
        }
        finally
        {
            rendezvous.Break();
            thread.JoinInTime();
        }

        Assert.Null(failure);
    }
}
