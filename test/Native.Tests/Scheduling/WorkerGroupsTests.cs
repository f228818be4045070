using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>A runtime of several groups, each of which works by itself.</summary>
public sealed class WorkerGroupsTests
{
    [Theory]
    [InlineData(1, 1, new[] { 1 })]
    [InlineData(4, 1, new[] { 4 })]
    [InlineData(2, 2, new[] { 1, 1 })]
    [InlineData(3, 2, new[] { 2, 1 })]
    [InlineData(7, 4, new[] { 2, 2, 2, 1 })]
    public void Workers_are_divided_among_the_groups(int workers, int groups, int[] expected)
    {
        using NetpollRuntime runtime = Create(workers, groups);
        Assert.Equal(expected, runtime.Groups.Select(group => group.ProcessorCount));
        Assert.Equal(workers, runtime.WorkerCount);
        Assert.Equal(workers, runtime.GetStatistics().Workers);
    }

    [Theory]
    [InlineData(1, 2, 10)]
    [InlineData(2, 0, 10)]
    [InlineData(2, 1, 1)]
    public void Options_are_checked(int workers, int groups, int maxWorkers) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = workers, GroupCount = groups, MaxWorkerCount = maxWorkers }));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Descriptors_go_to_one_group_after_the_other(int groups)
    {
        using NetpollRuntime runtime = Create(groups, groups);
        WorkerGroup[] round = [.. Enumerable.Range(0, groups).Select(_ => runtime.NextGroup())];
        Assert.Equal(groups, round.Distinct().Count());
        Assert.Equal(round, Enumerable.Range(0, groups).Select(_ => runtime.NextGroup()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Events_deadlines_and_turns_go_on_in_each_group_while_a_turn_blocks_in_each(int groups)
    {
        using NetpollRuntime runtime = Create(groups, groups);
        List<StreamSocket> sockets = [];
        using (Blockage blockage = new(BlockageKind.Event))
        {
            foreach (WorkerGroup group in runtime.Groups)
            {
                group.Schedule(new CallbackTurn(blockage.Block));
            }

            blockage.WaitUntilEntered(groups);

            // Twice as many as groups: in each group an event and a deadline, whichever way they are dealt out.
            for (int i = 0; i < 2 * groups; i++)
            {
                (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
                sockets.AddRange([first, second]);
                AssertEvent(first, second);
                AssertDeadline(second);
            }

            Assert.Equal(runtime.Groups.ToHashSet(), sockets.Select(socket => socket.Group).ToHashSet());
            foreach (WorkerGroup group in runtime.Groups)
            {
                bool here = false;
                CallbackTurn turn = new(() => here = group.IsWorkerThread);
                group.Schedule(turn);
                Patience.Until(() => turn.Runs == 1, "the turn has run");
                Assert.True(here);
            }

            Assert.Equal(0, blockage.Left);
            Assert.True(runtime.GetStatistics().HandOffs >= groups);
        }

        sockets.ForEach(socket => socket.Close());
    }

    private static NetpollRuntime Create(int workers, int groups) =>
        new(new NetpollRuntimeOptions { WorkerCount = workers, GroupCount = groups, Name = WorkerThreads.NewName() });

    private static void AssertEvent(StreamSocket reader, StreamSocket writer)
    {
        CallbackTurn turn = new(() => Assert.Equal(PollResult.Ready, reader.EndWaitReadable()));
        BeginWait(reader, turn);
        Assert.Equal(1, writer.Send([1]).Value);
        Patience.Until(() => turn.Runs == 1, "the event is dispatched");
    }

    private static void AssertDeadline(StreamSocket reader)
    {
        PollResult result = default;
        CallbackTurn turn = new(() => result = reader.EndWaitReadable());
        BeginWait(reader, turn);
        reader.Group.SetDeadline(reader.Poll!, PollMode.Read, MonotonicClock.After(TimeSpan.FromMilliseconds(2)));
        Patience.Until(() => turn.Runs == 1, "the deadline fires");
        Assert.Equal(PollResult.TimedOut, result);
    }

    private static void BeginWait(StreamSocket socket, CallbackTurn turn)
    {
        PollResult begun;
        while ((begun = socket.BeginWaitReadable(turn)) == PollResult.Ready)
        {
        }

        Assert.Equal(PollResult.Pending, begun);
    }
}
