using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class PollInfoTests
{
    private const ulong AllFlags =
        PollInfo.Closing | PollInfo.EventError | PollInfo.ReadExpired | PollInfo.WriteExpired | PollInfo.HangupSeen
        | PollInfo.UrgentSeen | PollInfo.GoneSeen;

    /// <summary>Around every width that a narrower mirror could have been cut to.</summary>
    public static TheoryData<uint> Fdseqs =>
        [1, 2, 0xFFFF, 0x1_0000, 0x1_0001, 0xF_FFFF, 0x10_0000, 0x10_0001, 0xFF_FFFF, 0x100_0000, 0x7FFF_FFFF, 0x8000_0000, uint.MaxValue];

    [Fact]
    public void Flags_and_fdseq_do_not_overlap()
    {
        Assert.Equal(7, System.Numerics.BitOperations.PopCount(AllFlags));
        Assert.Equal(0u, new PollInfo(AllFlags).Fdseq);
        Assert.Equal(uint.MaxValue, PollInfo.Create(uint.MaxValue, 0).Fdseq);
        Assert.Equal(0ul, PollInfo.Create(uint.MaxValue, 0).Word & AllFlags);
    }

    [Theory]
    [MemberData(nameof(Fdseqs))]
    public void The_fdseq_survives_every_change_in_full_width(uint fdseq)
    {
        var info = PollInfo.Create(fdseq, 0);
        Assert.Equal(fdseq, info.Fdseq);
        Assert.Equal(fdseq, info.With(AllFlags, 0).Fdseq);
        Assert.Equal(fdseq, info.With(AllFlags, 0).With(0, AllFlags).Fdseq);
        for (int readiness = 0; readiness < 64; readiness++)
        {
            Assert.Equal(fdseq, info.AfterEvent((PollReadiness)readiness).Fdseq);
        }
    }

    [Theory]
    [MemberData(nameof(Fdseqs))]
    public void Neighbours_and_equal_low_bits_are_different_words(uint fdseq)
    {
        ulong word = PollInfo.Create(fdseq, 0).Word;
        Assert.NotEqual(word, PollInfo.Create(fdseq + 1, 0).Word);
        Assert.NotEqual(word, PollInfo.Create(fdseq - 1, 0).Word);
        for (int bit = 0; bit < 32; bit++)
        {
            Assert.NotEqual(word, PollInfo.Create(fdseq ^ (1u << bit), 0).Word);
        }
    }

    /// <summary>All 128 combinations of flags, both directions: closing outranks a timeout, a timeout outranks an error.</summary>
    [Fact]
    public void Priorities()
    {
        for (ulong flags = 0; flags <= AllFlags; flags++)
        {
            var info = PollInfo.Create(7, flags);
            bool closing = (flags & PollInfo.Closing) != 0;
            bool error = (flags & PollInfo.EventError) != 0;
            bool readExpired = (flags & PollInfo.ReadExpired) != 0;
            bool writeExpired = (flags & PollInfo.WriteExpired) != 0;

            PollResult read = closing ? PollResult.Closing
                : readExpired ? PollResult.TimedOut
                : error ? PollResult.NotPollable
                : PollResult.Ready;
            PollResult write = closing ? PollResult.Closing
                : writeExpired ? PollResult.TimedOut
                : PollResult.Ready;
            Assert.Equal(read, info.Check(PollMode.Read));
            Assert.Equal(write, info.Check(PollMode.Write));
        }
    }

    /// <summary>All flags × all events: the error bit follows the last event, the hang-up bit only rises, nothing else moves.</summary>
    [Fact]
    public void An_event_moves_two_bits_and_no_other()
    {
        for (ulong flags = 0; flags <= AllFlags; flags++)
        {
            for (int i = 0; i < 16; i++)
            {
                var readiness = (PollReadiness)i;
                PollInfo after = PollInfo.Create(0xABCD_1234, flags).AfterEvent(readiness);

                Assert.Equal(readiness.HasFlag(PollReadiness.ErrorOnly), after.Has(PollInfo.EventError));
                Assert.Equal(
                    (flags & PollInfo.HangupSeen) != 0 || readiness.HasFlag(PollReadiness.Hangup), after.Has(PollInfo.HangupSeen));
                const ulong Moving = PollInfo.EventError | PollInfo.HangupSeen;
                Assert.Equal(PollInfo.Create(0xABCD_1234, flags & ~Moving).Word, after.Word & ~Moving);
            }
        }
    }

    [Fact]
    public void With_adds_and_removes()
    {
        var info = PollInfo.Create(5, PollInfo.ReadExpired | PollInfo.EventError);
        PollInfo changed = info.With(set: PollInfo.Closing, clear: PollInfo.ReadExpired);
        Assert.Equal(PollInfo.Create(5, PollInfo.Closing | PollInfo.EventError), changed);
    }
}
