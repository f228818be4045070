using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>
/// The pair that everything rests on: the waiter parks and then looks at the info word, the canceller publishes the info word and
/// then looks at the semaphore. Whatever the interleaving, the waiter either does not park or is handed out, and never both.
/// </summary>
public sealed class PollDescriptorRaceTests
{
    private const int Rounds = 30_000;
    private const PollReadiness Error = PollReadiness.Readable | PollReadiness.Hangup | PollReadiness.ErrorOnly;

    private readonly PollDescriptorTable _table = new(new DeadlineHeap());

    [Fact]
    public void A_waiter_and_a_close() => Race(descriptor => descriptor.Evict().Reader, PollResult.Closing, [PollResult.Closing]);

    [Fact]
    public void A_waiter_and_a_deadline_in_the_past() => Race(
        descriptor =>
        {
            descriptor.SetDeadline(PollMode.Read, PollDeadline.Expired, out PollWaiter? released);
            return released;
        },
        PollResult.TimedOut,
        [PollResult.TimedOut]);

    [Fact]
    public void A_waiter_and_a_deadline_that_fires() => Race(
        descriptor => PollDescriptorFields.ReadDeadline(descriptor).Fire(PollDescriptorFields.ReadDeadline(descriptor).Seq, now: 10, out _),
        PollResult.TimedOut,
        [PollResult.TimedOut],
        descriptor => descriptor.SetDeadline(PollMode.Read, 5, out _));

    [Fact]
    public void A_waiter_and_an_event() => Race(
        descriptor => Dispatch(descriptor, PollReadiness.Readable), PollResult.Ready, [PollResult.Ready]);

    [Fact]
    public void A_waiter_and_an_error_event() => Race(
        descriptor => Dispatch(descriptor, Error), PollResult.Ready, [PollResult.Ready, PollResult.NotPollable]);

    [Fact]
    public void A_waiter_and_a_wake_up() => Race(descriptor => descriptor.Wake(PollMode.Read), PollResult.Ready, [PollResult.Ready]);

    private static PollWaiter? Dispatch(PollDescriptor descriptor, PollReadiness readiness)
    {
        ReadyList ready = new(2);
        descriptor.OnEvent(descriptor.Info.Fdseq, readiness, ready);
        return ready.Count == 0 ? null : ready.Take(0);
    }

    private void Race(
        Func<PollDescriptor, PollWaiter?> cancel, PollResult whenParked, PollResult[] whenNot, Action<PollDescriptor>? prepare = null)
    {
        PollDescriptor descriptor = null!;
        CallbackTurn waiter = null!;
        PollWaiter? released = null;
        PollResult result = default;
        int parked = 0;
        Rendezvous.Race(
            Rounds,
            prepare: _ =>
            {
                descriptor = _table.Allocate(null);
                prepare?.Invoke(descriptor);
                waiter = new CallbackTurn();
                released = null;
            },
            mine: _ => result = descriptor.BeginWait(PollMode.Read, waiter),
            other: _ => released = cancel(descriptor),
            check: _ =>
            {
                if (result == PollResult.Pending)
                {
                    parked++;
                    Assert.Same(waiter, released);
                    Assert.Equal(whenParked, descriptor.EndWait(PollMode.Read));
                }
                else
                {
                    Assert.Null(released);
                    Assert.Contains(result, whenNot);
                }

                Assert.NotEqual(PollSemaphore.Waiting, PollDescriptorFields.ReadSemaphore(descriptor).State);
                if (!descriptor.Info.Has(PollInfo.Closing))
                {
                    descriptor.Evict();
                }

                _table.Release(descriptor);
            });
        TestContext.Current.TestOutputHelper?.WriteLine($"{parked} of {Rounds} parked");
    }
}
