using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class EpollPollerTranslateTests
{
    private static readonly uint[] Bits = [LibC.EPOLLIN, LibC.EPOLLOUT, LibC.EPOLLRDHUP, LibC.EPOLLHUP, LibC.EPOLLERR, LibC.EPOLLPRI];

    /// <summary>All 64 masks against the rules, spelled out one bit at a time.</summary>
    [Fact]
    public void All_masks()
    {
        for (int combination = 0; combination < 1 << Bits.Length; combination++)
        {
            uint mask = 0;
            for (int bit = 0; bit < Bits.Length; bit++)
            {
                mask |= (combination & (1 << bit)) != 0 ? Bits[bit] : 0;
            }

            bool In(uint bit) => (mask & bit) != 0;
            PollReadiness expected = PollReadiness.None;
            expected |= In(LibC.EPOLLIN) || In(LibC.EPOLLRDHUP) || In(LibC.EPOLLHUP) || In(LibC.EPOLLERR) ? PollReadiness.Readable : 0;
            expected |= In(LibC.EPOLLOUT) || In(LibC.EPOLLHUP) || In(LibC.EPOLLERR) ? PollReadiness.Writable : 0;
            expected |= In(LibC.EPOLLRDHUP) || In(LibC.EPOLLHUP) || In(LibC.EPOLLERR) ? PollReadiness.Hangup : 0;
            expected |= In(LibC.EPOLLHUP) || In(LibC.EPOLLERR) ? PollReadiness.Gone : 0;
            expected |= In(LibC.EPOLLPRI) ? PollReadiness.Urgent : 0;
            expected |= combination == 1 << Array.IndexOf(Bits, LibC.EPOLLERR) ? PollReadiness.ErrorOnly : 0;

            Assert.Equal(expected, EpollPoller.Translate(mask));
        }
    }

    // The ones that were paid for, by name.
    [Fact]
    public void A_peer_that_stopped_sending_makes_nothing_writable() =>
        Assert.Equal(PollReadiness.Readable | PollReadiness.Hangup, EpollPoller.Translate(LibC.EPOLLIN | LibC.EPOLLRDHUP));

    [Fact]
    public void Urgent_data_alone_wakes_nobody() => Assert.Equal(PollReadiness.Urgent, EpollPoller.Translate(LibC.EPOLLPRI));

    [Fact]
    public void An_error_alone_is_an_error() =>
        Assert.True(EpollPoller.Translate(LibC.EPOLLERR).HasFlag(PollReadiness.ErrorOnly));

    [Theory]
    [InlineData(LibC.EPOLLERR | LibC.EPOLLHUP)]
    [InlineData(LibC.EPOLLERR | LibC.EPOLLOUT)]
    [InlineData(LibC.EPOLLERR | LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLHUP | LibC.EPOLLRDHUP)]
    public void An_error_beside_anything_else_is_left_to_the_system_call(uint mask) =>
        Assert.False(EpollPoller.Translate(mask).HasFlag(PollReadiness.ErrorOnly));

    [Theory]
    [InlineData(long.MinValue, -1)]
    [InlineData(-1, -1)]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(999_999, 1)]
    [InlineData(1_000_000, 1)]
    [InlineData(1_000_001, 2)]
    [InlineData(1_999_999, 2)]
    [InlineData(2_000_000, 2)]
    [InlineData(2_147_483_646_000_001, int.MaxValue)]
    [InlineData(2_147_483_647_000_001, int.MaxValue)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void Milliseconds_are_rounded_up(long nanoseconds, int milliseconds) =>
        Assert.Equal(milliseconds, EpollPoller.ToMilliseconds(nanoseconds));
}
