using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>With a single worker, a turn that blocks holds up nobody else. It blocks until what is waited for has happened.</summary>
public sealed class HandOffTests
{
    public static TheoryData<BlockageKind> Kinds => [.. Enum.GetValues<BlockageKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Queued_turns_go_on(BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using Blockage blockage = new(kind);
        WorkerGroup group = runtime.Groups[0];
        CallbackTurn blocked = new(blockage.Block), before = new(), after = new();
        group.Schedule(blocked);
        group.Schedule(before);
        Patience.Until(() => before.Runs == 1, "the turn queued before has run");
        group.Schedule(after);
        Patience.Until(() => after.Runs == 1, "the turn queued meanwhile has run");
        Assert.Equal(0, blocked.Runs);
        Assert.True(runtime.GetStatistics().HandOffs >= 1);

        blockage.Release();
        Patience.Until(() => blocked.Runs == 1, "the blocked turn has ended");
        runtime.WaitForTurn();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Events_go_on(BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        CallbackTurn reader = new(() => first.EndWaitReadable());
        Wait(first, reader);
        using (Blockage blockage = new(kind))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
            blockage.WaitUntilEntered();
            Assert.Equal(1, second.Send([1]).Value);
            Patience.Until(() => reader.Runs == 1, "the event is dispatched");
            Assert.Equal(0, blockage.Left);
        }

        first.Close();
        second.Close();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Deadlines_go_on(BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        PollResult result = default;
        CallbackTurn reader = new(() => result = first.EndWaitReadable());
        Wait(first, reader);
        using (Blockage blockage = new(kind))
        {
            runtime.Groups[0].Schedule(new CallbackTurn(() =>
            {
                runtime.Groups[0].SetDeadline(first.Poll!, PollMode.Read, MonotonicClock.After(TimeSpan.FromMilliseconds(5)));
                blockage.Block();
            }));
            Patience.Until(() => reader.Runs == 1, "the deadline fires");
            Assert.Equal(PollResult.TimedOut, result);
            Assert.Equal(0, blockage.Left);
        }

        first.Close();
        second.Close();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_was_fetched_together_with_it_goes_on(BlockageKind kind)
    {
        NetpollRuntimeOptions options = new() { WorkerCount = 1, EventBatchSize = 8, Name = WorkerThreads.NewName() };
        using NetpollRuntime runtime = new(options);
        (StreamSocket First, StreamSocket Second)[] pairs = [.. Enumerable.Range(0, 3).Select(_ => SocketPairs.CreateStarted(runtime))];
        int ran = 0, wentOn = 0;
        using (Blockage blockage = new(kind))
        {
            foreach ((StreamSocket first, _) in pairs)
            {
                Wait(first, new CallbackTurn(() =>
                {
                    first.EndWaitReadable();
                    if (Interlocked.Increment(ref ran) == 1)
                    {
                        blockage.Block();
                    }
                    else
                    {
                        Interlocked.Increment(ref wentOn);
                    }
                }));
            }

            // Inside a turn, so that the worker fetches all of them at once when it has ended.
            runtime.Groups[0].Schedule(new CallbackTurn(() => Array.ForEach(pairs, pair => pair.Second.Send([1]))));
            Patience.Until(() => Volatile.Read(ref wentOn) == pairs.Length - 1, "the others have run");
            Assert.Equal(0, blockage.Left);
        }

        Array.ForEach(pairs, pair =>
        {
            pair.First.Close();
            pair.Second.Close();
        });
    }

    /// <summary>Whoever takes over may block as well.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Many_may_block_at_once(int workers)
    {
        const int Turns = 30;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        CallbackTurn[] turns = new CallbackTurn[Turns];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            for (int i = 0; i < Turns; i++)
            {
                turns[i] = new CallbackTurn(blockage.Block);
                runtime.Groups[0].Schedule(turns[i]);
            }

            blockage.WaitUntilEntered(Turns);
            CallbackTurn last = new();
            runtime.Groups[0].Schedule(last);
            Patience.Until(() => last.Runs == 1, "another turn has run");
            Assert.Equal(0, blockage.Left);
        }

        Patience.Until(() => turns.All(turn => turn.Runs == 1), "all have ended");
    }

    [Fact]
    public void A_turn_knows_whether_it_is_watched()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using NetpollRuntime other = WorkerThreads.CreateRuntime(1, out _);
        WorkerGroup group = runtime.Groups[0];
        bool before = false, after = true, elsewhere = true;
        using Blockage blockage = new(BlockageKind.Event);
        CallbackTurn turn = new(() =>
        {
            before = group.IsTurnWatched;
            elsewhere = other.Groups[0].IsTurnWatched;
            blockage.Block();
            after = group.IsTurnWatched;
        });
        group.Schedule(turn);
        blockage.WaitUntilEntered();
        runtime.WaitForTurn();
        blockage.Release();
        Patience.Until(() => turn.Runs == 1, "the turn has ended");
        Assert.Equal((true, false, false), (before, elsewhere, after));
        Assert.False(group.IsTurnWatched);
    }

    private static void Wait(StreamSocket socket, CallbackTurn turn)
    {
        PollResult begun;
        while ((begun = socket.BeginWaitReadable(turn)) == PollResult.Ready)
        {
        }

        Assert.Equal(PollResult.Pending, begun);
    }
}
