using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>One owner, several thieves: every turn is taken once.</summary>
public sealed class RunQueueStressTests
{
    private const int Thieves = 3;
    private const int Pushes = 50_000;

    private volatile bool _over;

    /// <summary>
    /// There are fewer turns than slots, and each is pushed again as soon as somebody has taken it: thieves then read slots that are filled anew
    /// meanwhile, with the same turn or another one.
    /// </summary>
    [Theory]
    [InlineData(4)]
    [InlineData(400)]
    public void Every_turn_is_taken_once_for_each_time_it_was_pushed(int turns)
    {
        Random random = SeededRandom.Create();
        RunQueue queue = RunQueueFields.CreateAt(uint.MaxValue - (Pushes / 2));
        Marked[] all = [.. Enumerable.Range(0, turns).Select(_ => new Marked())];
        List<Exception> failures = [];
        Thread[] thieves = [.. Enumerable.Range(0, Thieves).Select(id => new Thread(() => Run(failures, () => Steal(queue))) { Name = $"thief {id}" })];
        Array.ForEach(thieves, thread => thread.Start());

        Run(failures, () =>
        {
            for (int pushed = 0, next = 0; pushed < Pushes && failures.Count == 0; next++)
            {
                Marked turn = all[next % turns];
                if (turn.TryQueue())
                {
                    if (queue.TryPush(turn))
                    {
                        pushed++;
                    }
                    else
                    {
                        turn.Take();
                    }
                }

                if (random.Next(3) == 0 && queue.TryPop(out Turn? popped))
                {
                    ((Marked)popped).Take();
                }

                if (random.Next(50) == 0)
                {
                    queue.ForgetTaken();
                }
            }

            while (queue.TryPop(out Turn? rest))
            {
                ((Marked)rest).Take();
            }
        });

        _over = true;
        Array.ForEach(thieves, thread => thread.JoinInTime());
        Assert.Empty(failures);
        Assert.All(all, turn => Assert.False(turn.IsQueued));
    }

    private void Steal(RunQueue victim)
    {
        RunQueue mine = new();
        while (!_over)
        {
            if (victim.StealInto(mine) == 0)
            {
                Thread.Yield();
            }

            while (mine.TryPop(out Turn? turn))
            {
                ((Marked)turn).Take();
            }

            mine.ForgetTaken();
        }
    }

    private static void Run(List<Exception> failures, Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception)
        {
            lock (failures)
            {
                failures.Add(exception);
            }
        }
    }

    /// <summary>Knows whether it is in a queue, and complains about being taken when it is not.</summary>
    private sealed class Marked : Turn
    {
        private int _queued;

        internal bool IsQueued => Volatile.Read(ref _queued) != 0;

        internal bool TryQueue() => Interlocked.CompareExchange(ref _queued, 1, 0) == 0;

        internal void Take()
        {
            if (Interlocked.Exchange(ref _queued, 0) != 1)
            {
                throw new InvalidOperationException("A turn was taken twice.");
            }
        }

        internal override void Run()
        {
        }

        internal override void OnUnhandledException(Exception exception)
        {
        }
    }
}
