using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

[OneMode]
public sealed class BlockedTurnHistoryTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(BlockedTurnHistory.Capacity)]
    [InlineData(BlockedTurnHistory.Capacity + 5)]
    [InlineData((2 * BlockedTurnHistory.Capacity) + 1)]
    public void The_last_ones_are_kept_the_last_one_first(int count)
    {
        var history = new BlockedTurnHistory(new ManualTime());
        for (int i = 0; i < count; i++)
        {
            history.Add(new BlockedTurnEventArgs { ThreadId = i });
        }

        BlockedTurnHistory.Entry[] entries = history.Read(out long all);

        int kept = Math.Min(count, BlockedTurnHistory.Capacity);
        Assert.Equal(count, all);
        Assert.Equal(Enumerable.Range(count - kept, kept).Reverse(), entries.Select(static entry => entry.Blocked.ThreadId));
    }
}
