using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>A group that is busy with short turns rests its processors, and nobody has to wait for that.</summary>
public sealed class IdleProcessorsTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Short_turns_are_left_to_a_few(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        using PingPong game = new(runtime);
        Patience.Until(() => runtime.Groups[0].Idle.Count == workers - 1, "all but one processor are idle");
    }

    /// <summary>More events than one can take, of short turns and with nobody in a turn for long: nothing but the backlog shows it.</summary>
    [Fact]
    public void One_that_cannot_keep_up_gets_help()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(4, out _);
        WorkerGroup group = runtime.Groups[0];
        List<PingPong> games = [new(runtime)];
        Patience.Until(() => group.Idle.Count == 3, "all but one processor are idle");
        games.AddRange(Enumerable.Range(0, 100).Select(_ => new PingPong(runtime)));
        WaitForHelp(group);
        games.ForEach(static game => game.Dispose());
    }

    /// <summary>The same with turns that are queued to the group, as continuations are, and hardly an event.</summary>
    [Fact]
    public void One_that_cannot_keep_up_with_the_groups_queue_gets_help()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(4, out _);
        WorkerGroup group = runtime.Groups[0];
        using PingPong game = new(runtime);
        Patience.Until(() => group.Idle.Count == 3, "all but one processor are idle");
        bool stopping = false;
        for (int i = 0; i < 100; i++)
        {
            CallbackTurn? turn = null;
            turn = new CallbackTurn(() =>
            {
                if (!Volatile.Read(ref stopping))
                {
                    group.Schedule(turn!);
                }
            });
            group.Schedule(turn);
        }

        WaitForHelp(group);
        Volatile.Write(ref stopping, true);
    }

    [Fact]
    public void A_processor_that_is_alone_never_goes_idle()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using PingPong game = new(runtime);
        game.WaitForRounds(2_000);
        Assert.Equal(0, runtime.Groups[0].Idle.Count);
    }

    [Fact]
    public void Without_a_monitor_none_goes_idle()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(2, out _);
        using PingPong game = new(runtime);
        game.WaitForRounds(2_000);
        Assert.Equal(0, runtime.Groups[0].Idle.Count);
    }

    /// <summary>The turn ends only when the event, the queued turn and the deadline that came after it have been seen to.</summary>
    [Theory]
    [InlineData(BlockageKind.Event)]
    [InlineData(BlockageKind.KernelRead)]
    [InlineData(BlockageKind.Computing)]
    public void A_turn_that_lasts_holds_nobody_up(BlockageKind kind)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        WorkerGroup group = runtime.Groups[0];
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        CallbackTurn reader = new(() => first.EndWaitReadable());
        Assert.Equal(PollResult.Pending, first.BeginWaitReadable(reader));
        using (Blockage blockage = new(kind))
        {
            using (PingPong game = new(runtime))
            {
                Patience.Until(() => group.Idle.Count == 1, "a processor is idle");
                group.Schedule(new CallbackTurn(blockage.Block));
                blockage.WaitUntilEntered();
            }

            Assert.Equal(1, second.Send([1]).Value);
            Patience.Until(() => reader.Runs == 1, "the event is dispatched");
            CallbackTurn queued = new();
            group.Schedule(queued);
            Patience.Until(() => queued.Runs == 1, "the queued turn has run");
            Assert.Equal(0, blockage.Left);
        }

        first.Close();
        second.Close();
    }

    [Fact]
    public void When_there_is_little_to_do_all_wait_for_events()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(3, out _);
        WorkerGroup group = runtime.Groups[0];
        using (PingPong game = new(runtime))
        {
            Patience.Until(() => group.Idle.Count == 2, "processors are idle");
        }

        // One that comes after a pause.
        Thread.Sleep(20);
        runtime.WaitForTurn();
        Patience.Until(() => group.Idle.Count == 0 && group.Sleepers == 3, "all processors wait for events");
    }

    [Fact]
    public void The_end_finds_them_idle()
    {
        string name;
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(4, out name))
        using (PingPong game = new(runtime))
        {
            Patience.Until(() => runtime.Groups[0].Idle.Count == 3, "processors are idle");
        }

        Patience.Until(() => WorkerThreads.Count(name) == 0, "no worker is left");
    }

    // Not only for a moment, which happens whenever a busy machine stops the one that is active.
    private static void WaitForHelp(WorkerGroup group)
    {
        const int LooksInARow = 20;
        int helped = 0;
        Patience.Until(
            () =>
            {
                helped = group.Idle.Count < 3 ? helped + 1 : 0;
                return helped == LooksInARow;
            },
            "others help");
    }
}
