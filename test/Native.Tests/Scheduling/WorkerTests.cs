using System.Globalization;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>What a worker does with turns.</summary>
public sealed class WorkerTests
{
    private static readonly AsyncLocal<string?> Ambient = new();

    [Fact]
    public void One_worker_runs_turns_first_in_first_out()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        const int Turns = 10_000;
        List<int> order = [];
        using ManualResetEventSlim done = new();
        for (int i = 0; i < Turns; i++)
        {
            int number = i;
            runtime.Groups[0].Schedule(new CallbackTurn(() =>
            {
                order.Add(number);
                if (number == Turns - 1)
                {
                    done.Set();
                }
            }));
        }

        done.WaitInTime("all turns have run");
        Assert.Equal(Enumerable.Range(0, Turns), order);
    }

    [Fact]
    public void A_turn_scheduled_by_a_turn_runs_after_it_and_after_those_before_it()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        WorkerGroup group = runtime.Groups[0];
        List<string> order = [];
        using ManualResetEventSlim done = new();
        CallbackTurn last = new(() =>
        {
            order.Add("scheduled inside");
            done.Set();
        });
        group.Schedule(new CallbackTurn(() =>
        {
            group.Schedule(new CallbackTurn(() => order.Add("first scheduled inside")));
            group.Schedule(last);
            order.Add("outer ends");
        }));

        done.WaitInTime("the inner turn has run");
        Assert.Equal(["outer ends", "first scheduled inside", "scheduled inside"], order);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_turn_that_throws_ends_itself_and_not_the_worker(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(workers, out string name);
        const int Turns = 100;
        int reported = 0;
        using CountdownEvent done = new(Turns);
        for (int i = 0; i < Turns; i++)
        {
            InvalidOperationException expected = new("on purpose");
            runtime.Groups[0].Schedule(new CallbackTurn(
                () => throw expected,
                exception =>
                {
                    Interlocked.Add(ref reported, ReferenceEquals(exception, expected) ? 0 : 1000);
                    Interlocked.Increment(ref reported);
                    done.Signal();
                }));
        }

        Assert.True(done.Wait(Patience.Limit));
        Assert.Equal(Turns, reported);
        Assert.Equal(workers, WorkerThreads.Count(name));
        Patience.Until(() => runtime.GetStatistics().FailedTurns == Turns, "failures are counted");

        using ManualResetEventSlim alive = new();
        runtime.Groups[0].Schedule(new CallbackTurn(alive.Set));
        alive.WaitInTime("a worker runs on");
    }

    [Fact]
    public void Nothing_leaks_from_one_turn_into_the_next()
    {
        Ambient.Value = "the test's";
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        Traces? untouched = null;
        List<Traces> seen = [];
        using ManualResetEventSlim done = new();

        void Leave()
        {
            Ambient.Value = "left behind";
            SynchronizationContext.SetSynchronizationContext(new SynchronizationContext());
            CultureInfo.CurrentCulture = new CultureInfo("eo");
            CultureInfo.CurrentUICulture = new CultureInfo("la");
            Thread.CurrentThread.Name = "left behind";
            Thread.CurrentThread.Priority = ThreadPriority.BelowNormal;
            Thread.CurrentThread.IsBackground = false;
        }

        CallbackTurn Look() => new(() => seen.Add(Traces.Current));
        WorkerGroup group = runtime.Groups[0];
        group.Schedule(new CallbackTurn(() => untouched = Traces.Current));
        group.Schedule(new CallbackTurn(Leave));
        group.Schedule(Look());
        group.Schedule(new CallbackTurn(() =>
        {
            Leave();
            throw new InvalidOperationException("on purpose");
        }));
        group.Schedule(Look());
        group.Schedule(new CallbackTurn(() => throw new InvalidOperationException("on purpose"), _ => Leave()));
        group.Schedule(Look());
        group.Schedule(new CallbackTurn(done.Set));

        done.WaitInTime("all turns have run");
        Assert.Equal(3, seen.Count);
        Assert.All(seen, look => Assert.Equal(untouched, look));
        Assert.True(untouched is { Ambient: null, Context: null, Priority: ThreadPriority.Normal, IsBackground: true });
        Assert.Equal("the test's", Ambient.Value);
    }

    [Fact]
    public void A_worker_knows_itself_and_its_group()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        using NetpollRuntime other = WorkerThreads.CreateRuntime(1, out _);
        bool mine = false, others = true;
        using ManualResetEventSlim done = new();
        runtime.Groups[0].Schedule(new CallbackTurn(() =>
        {
            mine = runtime.Groups[0].IsWorkerThread;
            others = other.Groups[0].IsWorkerThread;
            done.Set();
        }));
        done.WaitInTime("the turn has run");

        Assert.True(mine);
        Assert.False(others);
        Assert.False(runtime.Groups[0].IsWorkerThread);
    }

    /// <summary>A queue that is never empty must not keep events from being looked at.</summary>
    [Fact]
    public void Events_are_seen_while_the_queue_never_empties()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        WorkerGroup group = runtime.Groups[0];
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        using ManualResetEventSlim readable = new();
        bool stop = false;
        CallbackTurn? again = null;
        again = new CallbackTurn(() =>
        {
            if (!Volatile.Read(ref stop))
            {
                group.Schedule(again!);
            }
        });
        group.Schedule(again);

        CallbackTurn reader = new(() =>
        {
            first.EndWaitReadable();
            readable.Set();
        });
        Assert.Equal(PollResult.Pending, first.BeginWaitReadable(reader));
        Assert.Equal(1, second.Send([1]).Value);
        readable.WaitInTime("the event is dispatched");

        Volatile.Write(ref stop, true);
        first.Close();
        second.Close();
    }

    /// <summary>What a turn can see of the thread's past.</summary>
    private sealed record Traces(
        string? Ambient,
        SynchronizationContext? Context,
        CultureInfo Culture,
        CultureInfo UICulture,
        string? Name,
        ThreadPriority Priority,
        bool IsBackground)
    {
        internal static Traces Current => new(
            WorkerTests.Ambient.Value,
            SynchronizationContext.Current,
            CultureInfo.CurrentCulture,
            CultureInfo.CurrentUICulture,
            Thread.CurrentThread.Name,
            Thread.CurrentThread.Priority,
            Thread.CurrentThread.IsBackground);
    }
}
