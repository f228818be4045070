using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>One thread; for several see <see cref="RunQueueStressTests"/>. Each case also where the counters wrap around.</summary>
public sealed class RunQueueTests
{
    private const int Capacity = RunQueue.Capacity;

    public static TheoryData<uint> Starts => [0, 1, 255, uint.MaxValue - 255, uint.MaxValue - 1, uint.MaxValue];

    public static TheoryData<uint, int> StartsAnd(int[] counts)
    {
        TheoryData<uint, int> data = [];
        foreach (uint start in (uint[])[0, 200, uint.MaxValue - 100, uint.MaxValue])
        {
            foreach (int count in counts)
            {
                data.Add(start, count);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void An_empty_queue_gives_nothing(uint start)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        Assert.True(queue.IsEmpty);
        Assert.False(queue.TryPop(out _));
        Assert.Equal(0, queue.StealInto(new RunQueue()));
        queue.ForgetTaken();
        Assert.Equal(0, queue.Count);
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void Turns_come_out_in_the_order_they_went_in(uint start)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        CallbackTurn[] turns = Turns(Capacity);
        Push(queue, turns);
        AssertHolds(queue, turns);

        // And once more around the ring, one at a time.
        foreach (CallbackTurn turn in turns)
        {
            Push(queue, turn);
            Assert.Equal(1, queue.Count);
            AssertHolds(queue, turn);
        }
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void A_full_queue_refuses_and_loses_nothing(uint start)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        CallbackTurn[] turns = Turns(Capacity + 1);
        Push(queue, turns[..Capacity]);
        Assert.Equal(Capacity, queue.Count);
        Assert.False(queue.TryPush(turns[Capacity]));

        Assert.True(queue.TryPop(out Turn? first));
        Assert.Same(turns[0], first);
        Push(queue, turns[Capacity]);
        AssertHolds(queue, turns[1..]);
    }

    [Theory]
    [MemberData(nameof(StartsAnd), new[] { 1, 2, 3, 4, 5, 255, 256 })]
    public void A_thief_gets_the_older_half_rounded_up(uint start, int count)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        RunQueue thief = RunQueueFields.CreateAt(start + 77);
        CallbackTurn[] turns = Turns(count);
        Push(queue, turns);

        int half = (count + 1) / 2;
        Assert.Equal(half, queue.StealInto(thief));
        Assert.Equal(count - half, queue.Count);
        Assert.Equal(half, thief.Count);
        AssertHolds(thief, turns[..half]);
        AssertHolds(queue, turns[half..]);
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void The_same_turn_comes_back_after_it_was_stolen(uint start)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        RunQueue thief = new();
        CallbackTurn turn = new();
        for (int i = 0; i < 2 * Capacity; i++)
        {
            Push(queue, turn);
            Assert.Equal(1, queue.StealInto(thief));
            AssertHolds(thief, turn);
            Push(queue, turn);
            queue.ForgetTaken();
            AssertHolds(queue, turn);
        }
    }

    /// <summary>What was taken and what is to be run may share a slot, once around the ring.</summary>
    [Theory]
    [MemberData(nameof(StartsAnd), new[] { 0, 1, 56, 128, 255, 256 })]
    public void Letting_go_spares_what_is_to_be_run(uint start, int pending)
    {
        RunQueue queue = RunQueueFields.CreateAt(start);
        CallbackTurn[] before = Turns(200);
        Push(queue, before);
        AssertHolds(queue, before);

        CallbackTurn[] turns = Turns(pending);
        Push(queue, turns);
        queue.ForgetTaken();
        Assert.Equal(pending, RunQueueFields.Slots(queue).Count(slot => slot is not null));
        AssertHolds(queue, turns);
    }

    [Fact]
    public void Letting_go_after_more_than_one_round_leaves_nothing()
    {
        RunQueue queue = RunQueueFields.CreateAt(uint.MaxValue - 300);
        CallbackTurn[] turns = Turns(Capacity);
        for (int round = 0; round < 3; round++)
        {
            Push(queue, turns);
            AssertHolds(queue, turns);
        }

        queue.ForgetTaken();
        Assert.All(RunQueueFields.Slots(queue), Assert.Null);
    }

    [Fact]
    public void A_turn_that_was_taken_can_be_collected_once_the_owner_lets_go()
    {
        RunQueue queue = new();
        RunQueue thief = new();
        WeakReference popped = PushOne(queue);
        Assert.True(Pop(queue));
        WeakReference stolen = PushOne(queue);
        Assert.Equal(1, queue.StealInto(thief));
        Assert.True(Pop(thief));

        queue.ForgetTaken();
        GC.Collect();
        Assert.False(popped.IsAlive);
        Assert.True(stolen.IsAlive, "the thief's slot keeps it");
        thief.ForgetTaken();
        GC.Collect();
        Assert.False(stolen.IsAlive);
        GC.KeepAlive(queue);
        GC.KeepAlive(thief);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference PushOne(RunQueue queue)
    {
        CallbackTurn turn = new();
        Push(queue, turn);
        return new WeakReference(turn);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Pop(RunQueue queue) => queue.TryPop(out _);

    private static CallbackTurn[] Turns(int count) => [.. Enumerable.Range(0, count).Select(_ => new CallbackTurn())];

    private static void Push(RunQueue queue, params CallbackTurn[] turns) => Assert.All(turns, turn => Assert.True(queue.TryPush(turn)));

    private static void AssertHolds(RunQueue queue, params CallbackTurn[] turns)
    {
        foreach (CallbackTurn expected in turns)
        {
            Assert.True(queue.TryPop(out Turn? turn));
            Assert.Same(expected, turn);
        }

        Assert.False(queue.TryPop(out _));
    }
}
