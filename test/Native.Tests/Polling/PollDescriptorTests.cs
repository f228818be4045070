using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>Waits, events, wake-ups and closes on one slot. Deadlines are in <see cref="PollDescriptorDeadlineTests"/>.</summary>
public sealed class PollDescriptorTests
{
    private readonly PollDescriptorTable _table = new(new DeadlineHeap());
    private readonly ReadyList _ready = new(8);
    private readonly CallbackTurn _waiter = new();

    // Event → are readers and writers released by it?
    public static TheoryData<int, bool, bool> Releases => new()
    {
        { (int)PollReadiness.Readable, true, false },
        { (int)PollReadiness.Writable, false, true },
        { (int)(PollReadiness.Readable | PollReadiness.Writable), true, true },
        { (int)(PollReadiness.Readable | PollReadiness.Hangup), true, false },
        { (int)(PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.ErrorOnly), true, true },
    };

    [Theory]
    [MemberData(nameof(Releases))]
    public void An_event_releases_the_waiters_of_its_directions(int readiness, bool readerReleased, bool writerReleased)
    {
        PollDescriptor descriptor = _table.Allocate(null);
        CallbackTurn reader = new(), writer = new();
        Assert.Equal(PollResult.Pending, descriptor.BeginWait(PollMode.Read, reader));
        Assert.Equal(PollResult.Pending, descriptor.BeginWait(PollMode.Write, writer));

        Assert.True(descriptor.OnEvent(descriptor.Info.Fdseq, (PollReadiness)readiness, _ready));

        PollWaiter[] released = TakeReady();
        Assert.Equal(readerReleased, released.Contains(reader));
        Assert.Equal(writerReleased, released.Contains(writer));
        Assert.Equal((readerReleased ? 1 : 0) + (writerReleased ? 1 : 0), released.Length);
        if (readerReleased)
        {
            Assert.Equal(PollResult.Ready, descriptor.EndWait(PollMode.Read));
        }
    }

    [Fact]
    public void An_event_that_comes_before_the_wait_is_latched()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable, _ready);

        Assert.Equal(PollResult.Ready, descriptor.BeginWait(PollMode.Read, _waiter));
        Assert.Equal(PollResult.Pending, descriptor.BeginWait(PollMode.Read, _waiter));
    }

    [Fact]
    public void Prepare_forgets_what_was_latched()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable | PollReadiness.Writable, _ready);

        Assert.Equal(PollResult.Ready, descriptor.Prepare(PollMode.Read));
        Assert.Equal(PollResult.Pending, descriptor.BeginWait(PollMode.Read, _waiter));

        // The other direction kept its latch.
        Assert.Equal(PollResult.Ready, descriptor.BeginWait(PollMode.Write, new CallbackTurn()));
    }

    [Fact]
    public void Prepare_reports_what_an_operation_must_fail_with()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable | PollReadiness.Writable | PollReadiness.ErrorOnly, _ready);
        Assert.Equal(PollResult.NotPollable, descriptor.Prepare(PollMode.Read));
        Assert.Equal(PollResult.Ready, descriptor.Prepare(PollMode.Write));

        descriptor.Evict();
        Assert.Equal(PollResult.Closing, descriptor.Prepare(PollMode.Read));
        Assert.Equal(PollResult.Closing, descriptor.Prepare(PollMode.Write));
    }

    [Fact]
    public void The_error_bit_follows_the_last_event()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        uint fdseq = descriptor.Info.Fdseq;
        const PollReadiness Error = PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.ErrorOnly;

        descriptor.OnEvent(fdseq, Error, _ready);
        Assert.True(descriptor.Info.Has(PollInfo.EventError));
        descriptor.OnEvent(fdseq, Error, _ready);
        Assert.True(descriptor.Info.Has(PollInfo.EventError));
        descriptor.OnEvent(fdseq, PollReadiness.Readable, _ready);
        Assert.False(descriptor.Info.Has(PollInfo.EventError));
    }

    [Fact]
    public void A_stale_event_changes_nothing()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        uint old = descriptor.Info.Fdseq;
        descriptor.Evict();
        _table.Release(descriptor);
        Assert.Same(descriptor, _table.Allocate(new CallbackTurn()));
        PollInfo info = descriptor.Info;
        descriptor.BeginWait(PollMode.Read, _waiter);

        Assert.False(descriptor.OnEvent(old, (PollReadiness)15, _ready));

        Assert.Equal(0, _ready.Count);
        Assert.Equal(info, descriptor.Info);
        Assert.Equal(PollSemaphore.Waiting, PollDescriptorFields.ReadSemaphore(descriptor).State);
        Assert.Equal(PollSemaphore.Nil, PollDescriptorFields.WriteSemaphore(descriptor).State);
    }

    [Fact]
    public void The_hangup_waiter_is_released_once_in_a_life()
    {
        CallbackTurn hangup = new();
        PollDescriptor descriptor = _table.Allocate(hangup);
        Assert.False(descriptor.HangupSeen);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable, _ready);
        Assert.Empty(TakeReady());

        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable | PollReadiness.Hangup, _ready);
        Assert.Equal([hangup], TakeReady());
        Assert.True(descriptor.HangupSeen);

        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup, _ready);
        Assert.Empty(TakeReady());
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable, _ready);
        Assert.True(descriptor.HangupSeen);

        descriptor.Evict();
        _table.Release(descriptor);
        Assert.Same(descriptor, _table.Allocate(null));
        Assert.False(descriptor.HangupSeen);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Hangup, _ready);
        Assert.Empty(TakeReady());
    }

    [Fact]
    public void A_close_releases_both_waiters_and_refuses_later_ones()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        CallbackTurn reader = new(), writer = new();
        descriptor.BeginWait(PollMode.Read, reader);
        descriptor.BeginWait(PollMode.Write, writer);

        WokenWaiters woken = descriptor.Evict();

        Assert.Same(reader, woken.Reader);
        Assert.Same(writer, woken.Writer);
        Assert.Equal(PollResult.Closing, descriptor.EndWait(PollMode.Read));
        Assert.Equal(PollResult.Closing, descriptor.EndWait(PollMode.Write));
        Assert.Equal(PollResult.Closing, descriptor.BeginWait(PollMode.Read, reader));
        Assert.Equal(PollSemaphore.Nil, PollDescriptorFields.ReadSemaphore(descriptor).State);
    }

    [Fact]
    public void A_close_outranks_the_readiness_that_came_with_it()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        descriptor.BeginWait(PollMode.Read, _waiter);
        descriptor.OnEvent(descriptor.Info.Fdseq, PollReadiness.Readable, _ready);
        Assert.Null(descriptor.Evict().Reader);
        Assert.Equal(PollResult.Closing, descriptor.EndWait(PollMode.Read));
    }

    [Fact]
    public void A_wake_up_is_an_edge_like_any_other()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        Assert.Null(descriptor.Wake(PollMode.Read));
        Assert.Equal(PollResult.Ready, descriptor.BeginWait(PollMode.Read, _waiter));

        descriptor.BeginWait(PollMode.Read, _waiter);
        Assert.Same(_waiter, descriptor.Wake(PollMode.Read));
        Assert.Equal(PollResult.Ready, descriptor.EndWait(PollMode.Read));
    }

    /// <summary>Slots outlive their files by far, so a slot that kept its last waiter would keep the whole connection behind it.</summary>
    [Fact]
    public void A_free_slot_keeps_nothing_alive()
    {
        WeakReference[] references = UseAndClose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.All(references, reference => Assert.False(reference.IsAlive));
        Assert.Equal(0, _table.OpenCount);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        WeakReference[] UseAndClose()
        {
            CallbackTurn reader = new(), writer = new(), hangup = new();
            PollDescriptor descriptor = _table.Allocate(hangup);
            descriptor.BeginWait(PollMode.Read, reader);
            descriptor.BeginWait(PollMode.Write, writer);
            descriptor.Evict();
            descriptor.EndWait(PollMode.Read);
            descriptor.EndWait(PollMode.Write);
            _table.Release(descriptor);
            return [new(reader), new(writer), new(hangup)];
        }
    }

    private PollWaiter[] TakeReady()
    {
        PollWaiter[] taken = [.. Enumerable.Range(0, _ready.Count).Select(_ready.Take)];
        _ready.Clear();
        return taken;
    }
}
