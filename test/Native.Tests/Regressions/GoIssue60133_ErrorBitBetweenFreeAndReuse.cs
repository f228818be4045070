using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// golang/go#60133: the identity check has passed, and then, before the error bit is set, the slot is freed, and perhaps reused.
/// Go had moved the fdseq on by then but not published it, so the bit stuck to the next file. Ours is the same word.
/// </summary>
public sealed class GoIssue60133_ErrorBitBetweenFreeAndReuse
{
    private const PollReadiness Error =
        PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.ErrorOnly;

    private readonly PollDescriptorTable _table = new(new DeadlineHeap());

    [Fact]
    public void The_bit_does_not_stick_to_a_free_slot()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        PollInfo observed = descriptor.Info;
        descriptor.Evict();
        _table.Release(descriptor);

        Assert.False(descriptor.TryApplyEvent(observed, Error));
        Assert.False(descriptor.Info.Has(PollInfo.EventError | PollInfo.HangupSeen));
        Assert.Equal(PollInfo.Closing, descriptor.Info.Word & uint.MaxValue);
    }

    [Fact]
    public void The_bit_does_not_stick_to_a_reused_slot()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        PollInfo observed = descriptor.Info;
        descriptor.Evict();
        _table.Release(descriptor);
        Assert.Same(descriptor, _table.Allocate(null));

        Assert.False(descriptor.TryApplyEvent(observed, Error));
        Assert.Equal(0ul, descriptor.Info.Word & uint.MaxValue);
        Assert.Equal(PollResult.Ready, descriptor.Prepare(PollMode.Read));
    }

    /// <summary>An event that changes nothing must not be taken for one that was applied, either.</summary>
    [Fact]
    public void An_event_without_bits_does_not_pass_for_current()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        PollInfo observed = descriptor.Info;
        Assert.True(descriptor.TryApplyEvent(observed, PollReadiness.Readable));
        descriptor.Evict();
        Assert.False(descriptor.TryApplyEvent(observed, PollReadiness.Readable));
        _table.Release(descriptor);
        _table.Allocate(null);
        Assert.False(descriptor.TryApplyEvent(observed, PollReadiness.Readable));
    }

    /// <summary>Any other change in between fails the swap too, and the retry sees it: nothing is overwritten.</summary>
    [Fact]
    public void A_change_in_between_is_not_lost()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        PollInfo observed = descriptor.Info;
        descriptor.SetDeadline(PollMode.Write, PollDeadline.Expired, out _);
        Assert.False(descriptor.TryApplyEvent(observed, Error));
        Assert.True(descriptor.OnEvent(observed.Fdseq, Error, new ReadyList(1)));
        Assert.True(descriptor.Info.Has(PollInfo.WriteExpired));
        Assert.True(descriptor.Info.Has(PollInfo.EventError));
    }

    /// <summary>The same on two threads: errors of past lives against a slot that is closed and reopened all the time.</summary>
    [Fact]
    public void Errors_of_past_lives_against_reuse()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        uint fdseq = descriptor.Info.Fdseq;
        int dropped = 0, applied = 0;
        Rendezvous.Race(
            rounds: 100_000,
            prepare: _ => fdseq = descriptor.Info.Fdseq,
            mine: _ =>
            {
                descriptor.Evict();
                _table.Release(descriptor);
                _table.Allocate(null);
            },
            other: _ =>
            {
                ReadyList ready = new(2);
                if (descriptor.OnEvent(fdseq, Error, ready))
                {
                    applied++;
                }
                else
                {
                    dropped++;
                }
            },
            check: _ =>
            {
                Assert.Equal(fdseq + 1, descriptor.Info.Fdseq);
                Assert.Equal(0ul, descriptor.Info.Word & uint.MaxValue);
            });
        TestContext.Current.TestOutputHelper?.WriteLine($"{applied} applied in time, {dropped} dropped");
        Assert.Equal(100_000, applied + dropped);
    }
}
