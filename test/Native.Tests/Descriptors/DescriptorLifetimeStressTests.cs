using System.Diagnostics;
using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using LockResult = KestrelNetpoll.Native.Descriptors.DescriptorLifetime.LockResult;

namespace KestrelNetpoll.Native.Tests.Descriptors;

public sealed class DescriptorLifetimeStressTests
{
    private const int Users = 8;
    private const int OperationsOfEach = 1_000_000;
    private static readonly TimeSpan TimeBox = TimeSpan.FromSeconds(4);

    private readonly DescriptorLifetime _lifetime = new();

    // Two counters per direction, changed one after the other without any care: they differ while somebody is inside.
    private readonly long[,] _inside = new long[2, 2];
    private int _violations;

    [Fact]
    public async Task Eight_million_random_operations()
    {
        int seed = SeededRandom.NewSeed();
        var clock = Stopwatch.StartNew();
        long operations = 0;
        await Task.WhenAll(Enumerable.Range(0, Users).Select(user => Task.Run(async () =>
        {
            Random random = new(seed + user);
            int done = 0;
            for (; done < OperationsOfEach && ((done & 1023) != 0 || clock.Elapsed < TimeBox); done++)
            {
                var mode = (PollMode)random.Next(2);
                switch (random.Next(16))
                {
                    case < 6:
                        Assert.True(_lifetime.TryAddReference());
                        Assert.False(_lifetime.Release());
                        break;
                    case < 15:
                        if (_lifetime.TryLock(mode) == LockResult.Acquired)
                        {
                            Enter(mode);
                            Assert.False(_lifetime.Unlock(mode));
                        }

                        break;
                    default:
                        Assert.True(await _lifetime.LockAsync(mode, CancellationToken.None));
                        Enter(mode);
                        Assert.False(_lifetime.Unlock(mode));
                        break;
                }
            }

            Interlocked.Add(ref operations, done);
        }))).InTime();

        TestContext.Current.TestOutputHelper?.WriteLine($"{operations} operations");
        Assert.Equal(0, _violations);
        Assert.True(_lifetime.TryClose());
        Assert.True(_lifetime.Release());
    }

    /// <summary>Users and two closers on one descriptor, many times: destroyed once, and nobody inside afterwards.</summary>
    [Fact]
    public void The_last_release_is_reported_exactly_once()
    {
        DescriptorLifetime lifetime = null!;
        int destroyed = 0, usesAfterDestruction = 0;
        bool closedByMe = false, closedByOther = false;

        void Use(int i, PollMode mode)
        {
            for (int k = 0; k < 1 + (i % 3); k++)
            {
                if (lifetime.TryLock(mode) == LockResult.Acquired)
                {
                    Note(lifetime.Unlock(mode));
                }

                if (lifetime.TryAddReference())
                {
                    Interlocked.Add(ref usesAfterDestruction, Volatile.Read(ref destroyed));
                    Note(lifetime.Release());
                }
            }
        }

        void Note(bool last)
        {
            if (last)
            {
                Interlocked.Increment(ref destroyed);
            }
        }

        bool Close()
        {
            if (!lifetime.TryClose())
            {
                return false;
            }

            Note(lifetime.Release());
            return true;
        }

        Rendezvous.Race(
            rounds: 50_000,
            prepare: _ =>
            {
                lifetime = new DescriptorLifetime();
                destroyed = 0;
            },
            mine: i =>
            {
                Use(i, PollMode.Read);
                closedByMe = Close();
            },
            other: i =>
            {
                Use(i + 1, PollMode.Read);
                closedByOther = Close();
                Use(i, PollMode.Write);
            },
            check: _ =>
            {
                Assert.True(closedByMe ^ closedByOther);
                Assert.Equal(1, destroyed);
                Assert.Equal(0, usesAfterDestruction);
            });
    }

    private void Enter(PollMode mode)
    {
        if (_inside[(int)mode, 0] != _inside[(int)mode, 1])
        {
            Interlocked.Increment(ref _violations);
        }

        _inside[(int)mode, 0]++;
        _inside[(int)mode, 1]++;
    }
}
