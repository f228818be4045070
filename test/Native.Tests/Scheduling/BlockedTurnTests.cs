using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What those who watch are told of turns that block for long: with real threads.</summary>
public sealed class BlockedTurnTests
{
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;

    /// <summary>With its processor, since there is no other worker; or without, since another one has taken over.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_turn_that_blocks_is_told_of_with_or_without_its_processor(bool handedOn)
    {
        RecordingObserver observer = new(300 * Millisecond);
        using NetpollRuntime runtime = Create(observer, handedOn ? 10 : 1);
        using Blockage blockage = new(BlockageKind.Event);
        CallbackTurn turn = new(blockage.Block);
        CallbackTurn next = new();
        runtime.Groups[0].Schedule(turn);
        blockage.WaitUntilEntered();
        runtime.Groups[0].Schedule(next);
        if (handedOn)
        {
            Patience.Until(() => next.Runs == 1, "the next turn runs");
        }

        Patience.Until(() => !observer.Blocked.IsEmpty, "the turn is told of");
        Assert.Equal(handedOn, runtime.GetStatistics().HandOffs > 0);
        Assert.True(observer.Blocked.TryPeek(out BlockedTurnSighting? sighting));
        Assert.Same(turn, sighting.Turn);
        Assert.True(sighting.Nanoseconds >= observer.BlockedTurnThreshold);
        Assert.True(sighting.InManagedWait);
        Assert.True(sighting.Lasts);
        blockage.Release();
        Patience.Until(() => !sighting.Lasts, "the turn has ended");
    }

    [Theory]
    [InlineData(BlockageKind.Event, ThreadOccupation.ManagedWait, null)]
    [InlineData(BlockageKind.Lock, ThreadOccupation.ManagedWait, null)]
    [InlineData(BlockageKind.KernelRead, ThreadOccupation.KernelCall, "read")]
    [InlineData(BlockageKind.NativeSleep, ThreadOccupation.KernelCall, "nanosleep")]
    public void What_blocks_it_is_found_out(BlockageKind kind, object occupation, string? call)
    {
        RecordingObserver observer = new(20 * Millisecond);
        using NetpollRuntime runtime = Create(observer, maxWorkers: 10);
        using Blockage blockage = new(kind);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        Patience.Until(() => !observer.Blocked.IsEmpty, "the turn is told of");
        Assert.True(observer.Blocked.TryPeek(out BlockedTurnSighting? sighting));

        // A sleep is over for a moment again and again.
        ThreadWhereabouts found = default;
        Patience.Until(
            () => (found = sighting.Locate()).Occupation == (ThreadOccupation)occupation, $"it is in {occupation}");
        Assert.SkipUnless(call is null || File.Exists("/proc/self/syscall"), "The kernel does not show system calls.");
        Assert.EndsWith(call ?? "", found.KernelCall ?? "", StringComparison.Ordinal);
        Assert.Equal(call is null, found.KernelCall is null);
    }

    [Fact]
    public void A_turn_that_computes_is_told_from_one_that_waits()
    {
        RecordingObserver observer = new(20 * Millisecond);
        using NetpollRuntime runtime = Create(observer, maxWorkers: 10);
        using Blockage blockage = new(BlockageKind.Computing);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        Patience.Until(() => !observer.Blocked.IsEmpty, "the turn is told of");
        Assert.True(observer.Blocked.TryPeek(out BlockedTurnSighting? sighting));
        Assert.False(sighting.InManagedWait);
        Patience.Until(() => sighting.Locate().Occupation == ThreadOccupation.Computing, "it computes");
        blockage.Release();
        Patience.Until(() => !sighting.Lasts, "the turn has ended");
        Assert.Equal(ThreadOccupation.Unknown, sighting.Locate().Occupation);
    }

    [Fact]
    public void A_turn_that_goes_on_blocking_is_told_of_again_when_it_has_lasted_ten_times_as_long()
    {
        RecordingObserver observer = new(10 * Millisecond);
        using NetpollRuntime runtime = Create(observer, maxWorkers: 10);
        using Blockage blockage = new(BlockageKind.Event);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        runtime.WaitForTurn();
        Patience.Until(() => observer.Blocked.Count == 2, "it is told of again");
        long[] ages = [.. observer.Blocked.Select(static sighting => sighting.Nanoseconds)];
        Assert.True(ages[1] >= 10 * ages[0]);
    }

    [Fact]
    public void Hand_offs_are_told_of_and_counted_with_their_reason()
    {
        RecordingObserver observer = new(threshold: 0, wantsHandOffs: true);
        using NetpollRuntime runtime = Create(observer, maxWorkers: 10);
        using Blockage event1 = new(BlockageKind.Event);
        using Blockage read = new(BlockageKind.KernelRead);
        runtime.Groups[0].Schedule(new CallbackTurn(event1.Block));
        event1.WaitUntilEntered();
        runtime.WaitForTurn();
        runtime.Groups[0].Schedule(new CallbackTurn(read.Block));
        read.WaitUntilEntered();
        runtime.WaitForTurn();

        Patience.Until(() => observer.HandOffs.Count == runtime.GetStatistics().HandOffs, "all have been told of");
        HandOffReason[] reasons = [.. observer.HandOffs.Select(static handOff => handOff.Reason)];
        Assert.Empty(observer.Blocked);
        foreach (HandOffReason reason in Enum.GetValues<HandOffReason>())
        {
            Assert.Equal(reasons.Count(found => found == reason), runtime.Groups[0].HandOffsFor(reason));
        }

        // Which it is for the two depends on how busy the machine is.
        Assert.True(reasons.Length >= 2);
        Assert.All(observer.HandOffs, static handOff => Assert.True(handOff.Nanoseconds > 0));
    }

    [Fact]
    public void The_monitor_dozes_also_after_a_turn_that_was_told_of()
    {
        RecordingObserver observer = new(10 * Millisecond);
        using NetpollRuntime runtime = Create(observer, maxWorkers: 10);
        using (Blockage blockage = new(BlockageKind.Event))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            blockage.WaitUntilEntered();
            runtime.WaitForTurn();
            Patience.Until(() => !observer.Blocked.IsEmpty, "the turn is told of");
        }

        Patience.Until(() => runtime.Groups[0].Monitor!.DozesWithoutEnd, "the monitor sleeps without an end");
    }

    private static NetpollRuntime Create(RecordingObserver observer, int maxWorkers) => new(new NetpollRuntimeOptions
    {
        WorkerCount = 1,
        MaxWorkerCount = maxWorkers,
        Name = WorkerThreads.NewName(),
        Observer = observer,
    });
}
