using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class PollCookieTests
{
    private static readonly uint[] Interesting =
        [0, 1, 2, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0xF_FFFF, 0x10_0000, 0x7FFF_FFFF, 0x8000_0000, uint.MaxValue - 1, uint.MaxValue];

    [Fact]
    public void Slot_and_fdseq_come_back_in_full_width()
    {
        foreach (uint slot in Interesting)
        {
            foreach (uint fdseq in Interesting)
            {
                var cookie = PollCookie.Create(fdseq, slot);
                Assert.Equal(slot, cookie.Slot);
                Assert.Equal(fdseq, cookie.Fdseq);
            }
        }
    }

    [Fact]
    public void The_wake_up_cookie_needs_a_slot_that_does_not_exist()
    {
        foreach (uint slot in Interesting)
        {
            foreach (uint fdseq in Interesting)
            {
                Assert.Equal(slot == uint.MaxValue && fdseq == uint.MaxValue, PollCookie.Create(fdseq, slot) == PollCookie.WakeUp);
            }
        }

        PollDescriptorTable table = new(new DeadlineHeap());
        table.Allocate(hangupWaiter: null);
        Assert.Null(table.Find(PollCookie.WakeUp.Slot));
    }

    /// <summary>A comparison of 32 of the 64 bits once took a socket's event for the wake-up (golang/go#72900).</summary>
    [Fact]
    public void Half_a_wake_up_cookie_is_not_one()
    {
        Assert.NotEqual(PollCookie.WakeUp, PollCookie.Create(uint.MaxValue, 0));
        Assert.NotEqual(PollCookie.WakeUp, PollCookie.Create(1, uint.MaxValue));
    }
}
