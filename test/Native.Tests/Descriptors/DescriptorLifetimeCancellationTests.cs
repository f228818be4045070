using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using LockResult = KestrelNetpoll.Native.Descriptors.DescriptorLifetime.LockResult;

namespace KestrelNetpoll.Native.Tests.Descriptors;

/// <summary>A locker that gives up while it is being woken must not take the chance with it that was meant for somebody.</summary>
public sealed class DescriptorLifetimeCancellationTests
{
    private readonly DescriptorLifetime _lifetime = new();

    [Fact]
    public async Task A_cancelled_locker_leaves_the_queue()
    {
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Read));
        using CancellationTokenSource cancelled = new();
        Task<bool> first = _lifetime.LockAsync(PollMode.Read, cancelled.Token).AsTask();
        Task<bool> second = _lifetime.LockAsync(PollMode.Read, CancellationToken.None).AsTask();

        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first.InTime());
        Assert.False(second.IsCompleted);

        Assert.False(_lifetime.Unlock(PollMode.Read));
        Assert.True(await second.InTime());
        Assert.False(_lifetime.Unlock(PollMode.Read));
        Assert.True(_lifetime.TryClose());
        Assert.True(_lifetime.Release());
    }

    [Fact]
    public async Task A_token_that_is_cancelled_already()
    {
        CancellationToken cancelled = new(canceled: true);
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Write));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _lifetime.LockAsync(PollMode.Write, cancelled).InTime());
        Assert.False(_lifetime.Unlock(PollMode.Write));
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Write));
    }

    /// <summary>
    /// The holder unlocks at the moment at which one of two queued lockers is cancelled: the other one, or both, get the lock.
    /// </summary>
    [Fact]
    public void Cancelling_and_unlocking_at_once()
    {
        DescriptorLifetime lifetime = null!;
        CancellationTokenSource cancellation = null!;
        Task<bool> cancelled = null!, patient = null!;
        int gotBoth = 0;
        Rendezvous.Race(
            rounds: 20_000,
            prepare: i =>
            {
                lifetime = new DescriptorLifetime();
                cancellation = new CancellationTokenSource();
                lifetime.TryLock(PollMode.Read);
                cancelled = LockAndUnlock(lifetime, cancellation.Token);
                patient = LockAndUnlock(lifetime, CancellationToken.None);
            },
            mine: _ => cancellation.Cancel(),
            other: _ => lifetime.Unlock(PollMode.Read),
            check: _ =>
            {
                Assert.True(patient.WaitAsync(Patience.Limit).GetAwaiter().GetResult());
                try
                {
                    gotBoth += cancelled.WaitAsync(Patience.Limit).GetAwaiter().GetResult() ? 1 : 0;
                }
                catch (OperationCanceledException)
                {
                }

                Assert.Equal(LockResult.Acquired, lifetime.TryLock(PollMode.Read));
                lifetime.Unlock(PollMode.Read);
                Assert.True(lifetime.TryClose());
                Assert.True(lifetime.Release());
                cancellation.Dispose();
            });
        TestContext.Current.TestOutputHelper?.WriteLine($"both got the lock {gotBoth} times");
    }

    /// <summary>Lockers that give up at random moments, among others that never do: each of these gets the lock.</summary>
    [Fact]
    public async Task The_patient_get_the_lock_among_the_impatient()
    {
        int seed = SeededRandom.NewSeed();
        int impatientCancelled = 0;
        int patientGotIt = 0;
        const int Rounds = 3000;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(user => Task.Run(async () =>
        {
            Random random = new(seed + user);
            bool patient = user % 2 == 0;
            for (int i = 0; i < Rounds; i++)
            {
                using CancellationTokenSource cancellation = new();
                ValueTask<bool> locking = _lifetime.LockAsync(PollMode.Read, patient ? CancellationToken.None : cancellation.Token);
                if (!patient)
                {
                    Thread.SpinWait(random.Next(100));
                    await cancellation.CancelAsync();
                }

                try
                {
                    Assert.True(await locking);
                    Thread.SpinWait(random.Next(50));
                    Assert.False(_lifetime.Unlock(PollMode.Read));
                    Interlocked.Add(ref patientGotIt, patient ? 1 : 0);
                }
                catch (OperationCanceledException) when (!patient)
                {
                    Interlocked.Increment(ref impatientCancelled);
                }
            }
        }))).InTime();

        Assert.Equal(4 * Rounds, patientGotIt);
        TestContext.Current.TestOutputHelper?.WriteLine($"{impatientCancelled} of {4 * Rounds} gave up");
        Assert.True(_lifetime.TryClose());
        Assert.True(_lifetime.Release());
    }

    /// <summary>A close and a cancellation at once: the queued locker ends, and the count of waiters stays right.</summary>
    [Slow]
    [Fact]
    public void Cancelling_and_closing_at_once()
    {
        DescriptorLifetime lifetime = null!;
        CancellationTokenSource cancellation = null!;
        Task<bool>[] queued = [];
        Rendezvous.Race(
            rounds: 10_000,
            prepare: _ =>
            {
                lifetime = new DescriptorLifetime();
                cancellation = new CancellationTokenSource();
                lifetime.TryLock(PollMode.Read);
                queued = [LockAndUnlock(lifetime, cancellation.Token), LockAndUnlock(lifetime, CancellationToken.None)];
            },
            mine: _ => cancellation.Cancel(),
            other: _ => lifetime.TryClose(),
            check: _ =>
            {
                Assert.False(queued[1].WaitAsync(Patience.Limit).GetAwaiter().GetResult());
                Assert.True(Task.WhenAny(queued[0]).Wait(Patience.Limit));
                Assert.False(lifetime.Release());
                Assert.True(lifetime.Unlock(PollMode.Read));
                cancellation.Dispose();
            });
    }

    private static async Task<bool> LockAndUnlock(DescriptorLifetime lifetime, CancellationToken cancellationToken)
    {
        if (!await lifetime.LockAsync(PollMode.Read, cancellationToken))
        {
            return false;
        }

        lifetime.Unlock(PollMode.Read);
        return true;
    }
}
