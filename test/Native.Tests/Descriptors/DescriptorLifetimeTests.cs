using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Polling;
using LockResult = KestrelNetpoll.Native.Descriptors.DescriptorLifetime.LockResult;

namespace KestrelNetpoll.Native.Tests.Descriptors;

/// <summary>Go's tests of fdMutex, on ours.</summary>
public sealed class DescriptorLifetimeTests
{
    private readonly DescriptorLifetime _lifetime = new();

    [Fact]
    public void Locks_and_references_come_and_go()
    {
        Assert.True(_lifetime.TryAddReference());
        Assert.False(_lifetime.Release());

        foreach (PollMode mode in (PollMode[])[PollMode.Read, PollMode.Write])
        {
            Assert.Equal(LockResult.Acquired, _lifetime.TryLock(mode));
            Assert.Equal(LockResult.Busy, _lifetime.TryLock(mode));
            Assert.False(_lifetime.Unlock(mode));
            Assert.Equal(LockResult.Acquired, _lifetime.TryLock(mode));
            Assert.False(_lifetime.Unlock(mode));
        }
    }

    [Fact]
    public void Directions_do_not_exclude_each_other()
    {
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Read));
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Write));
        Assert.True(_lifetime.TryAddReference());
    }

    [Fact]
    public async Task After_a_close_nobody_enters()
    {
        Assert.False(_lifetime.IsClosed);
        Assert.True(_lifetime.TryClose());
        Assert.True(_lifetime.IsClosed);
        Assert.False(_lifetime.TryClose());
        Assert.False(_lifetime.TryAddReference());
        Assert.Equal(LockResult.Closed, _lifetime.TryLock(PollMode.Read));
        Assert.Equal(LockResult.Closed, _lifetime.TryLock(PollMode.Write));
        Assert.False(await _lifetime.LockAsync(PollMode.Read, CancellationToken.None));
        Assert.False(await _lifetime.LockAsync(PollMode.Write, CancellationToken.None));
        Assert.True(_lifetime.Release());
    }

    /// <summary>A reader, a writer, another user and the closer leave in every order: the last is told, and nobody else.</summary>
    [Fact]
    public void The_last_to_leave_a_closed_descriptor_destroys_it()
    {
        foreach (int[] order in Permutations([0, 1, 2, 3]))
        {
            DescriptorLifetime lifetime = new();
            Assert.Equal(LockResult.Acquired, lifetime.TryLock(PollMode.Read));
            Assert.Equal(LockResult.Acquired, lifetime.TryLock(PollMode.Write));
            Assert.True(lifetime.TryAddReference());
            Assert.True(lifetime.TryClose());
            for (int i = 0; i < order.Length; i++)
            {
                bool last = order[i] switch
                {
                    0 => lifetime.Unlock(PollMode.Read),
                    1 => lifetime.Unlock(PollMode.Write),
                    _ => lifetime.Release(),
                };
                Assert.Equal(i == order.Length - 1, last);
            }
        }
    }

    [Theory]
    [InlineData((int)PollMode.Read)]
    [InlineData((int)PollMode.Write)]
    public async Task A_close_lets_four_queued_lockers_go(int direction)
    {
        var mode = (PollMode)direction;
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(mode));
        Task<bool>[] queued = [.. Enumerable.Range(0, 4).Select(_ => _lifetime.LockAsync(mode, CancellationToken.None).AsTask())];
        Assert.All(queued, locker => Assert.False(locker.IsCompleted));

        Assert.True(_lifetime.TryClose());

        Assert.All(await Task.WhenAll(queued).InTime(), Assert.False);
        Assert.False(_lifetime.Release());
        Assert.True(_lifetime.Unlock(mode));
    }

    [Theory]
    [InlineData((int)PollMode.Read)]
    [InlineData((int)PollMode.Write)]
    public async Task An_unlock_lets_one_queued_locker_in(int direction)
    {
        var mode = (PollMode)direction;
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(mode));
        List<Task<bool>> queued = [.. Enumerable.Range(0, 3).Select(_ => _lifetime.LockAsync(mode, CancellationToken.None).AsTask())];
        while (queued.Count != 0)
        {
            Assert.False(_lifetime.Unlock(mode));
            Task<bool> locker = await Task.WhenAny(queued).InTime();
            Assert.True(await locker);
            queued.Remove(locker);
            Assert.All(queued, other => Assert.False(other.IsCompleted));
            Assert.Equal(LockResult.Busy, _lifetime.TryLock(mode));
        }

        Assert.False(_lifetime.Unlock(mode));
        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(mode));
    }

    [Fact]
    public void Giving_back_what_one_does_not_have_throws_and_breaks_nothing()
    {
        Assert.Throws<InvalidOperationException>(() => _lifetime.Release());
        Assert.Throws<InvalidOperationException>(() => _lifetime.Unlock(PollMode.Read));
        Assert.Throws<InvalidOperationException>(() => _lifetime.Unlock(PollMode.Write));

        Assert.True(_lifetime.TryAddReference());
        Assert.Throws<InvalidOperationException>(() => _lifetime.Unlock(PollMode.Read));
        Assert.False(_lifetime.Release());

        Assert.Equal(LockResult.Acquired, _lifetime.TryLock(PollMode.Read));
        Assert.Throws<InvalidOperationException>(() => _lifetime.Unlock(PollMode.Write));
        Assert.False(_lifetime.Unlock(PollMode.Read));

        Locks_and_references_come_and_go();
        Assert.True(_lifetime.TryClose());
        Assert.True(_lifetime.Release());
        Assert.Throws<InvalidOperationException>(() => _lifetime.Release());
    }

    [Fact]
    public void Too_many_users_are_refused_and_break_nothing()
    {
        for (int i = 0; i < DescriptorLifetime.MaxUsers; i++)
        {
            Assert.True(_lifetime.TryAddReference());
        }

        static void AssertTooMany(Action action) =>
            Assert.StartsWith("Too many", Assert.Throws<InvalidOperationException>(action).Message, StringComparison.Ordinal);

        AssertTooMany(() => _lifetime.TryAddReference());
        AssertTooMany(() => _lifetime.TryLock(PollMode.Read));
        AssertTooMany(() => _lifetime.TryLock(PollMode.Write));
        AssertTooMany(() => _lifetime.TryClose());
        Assert.False(_lifetime.IsClosed);

        for (int i = 0; i < DescriptorLifetime.MaxUsers; i++)
        {
            Assert.False(_lifetime.Release());
        }

        Locks_and_references_come_and_go();
    }

    private static IEnumerable<int[]> Permutations(int[] items) => items.Length == 1
        ? [items]
        : items.SelectMany(first => Permutations([.. items.Where(item => item != first)]).Select(rest => (int[])[first, .. rest]));
}
