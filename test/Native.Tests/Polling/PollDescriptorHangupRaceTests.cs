using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>
/// A hang-up of one life is never told to the next: a turn that came spuriously could be queued a second time, by the real hang-up,
/// while it runs.
/// </summary>
public sealed class PollDescriptorHangupRaceTests
{
    [Fact]
    public void A_hangup_does_not_reach_the_slots_next_file()
    {
        PollDescriptorTable table = new(new DeadlineHeap());
        CallbackTurn current = new(), next = null!;
        PollDescriptor descriptor = table.Allocate(current);
        uint fdseq = 0;
        bool applied = false;
        ReadyList ready = new(4);
        int dropped = 0, strangers = 0;
        const int Rounds = 100_000;
        Rendezvous.Race(
            Rounds,
            prepare: _ =>
            {
                fdseq = descriptor.Info.Fdseq;
                next = new CallbackTurn();
                ready.Clear();
            },
            mine: _ =>
            {
                descriptor.Evict();
                table.Release(descriptor);
                table.Allocate(next);
            },
            other: _ => applied = descriptor.OnEvent(fdseq, PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup, ready),
            check: _ =>
            {
                dropped += applied ? 0 : 1;
                for (int i = 0; i < ready.Count; i++)
                {
                    strangers += ReferenceEquals(ready.Take(i), next) ? 1 : 0;
                }

                current = next;
            });

        TestContext.Current.TestOutputHelper?.WriteLine($"{dropped} of {Rounds} events came too late, {strangers} reached a stranger");
        Assert.Equal(0, strangers);
    }
}
