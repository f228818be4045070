using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class BlockedTurnProbeTests
{
    [Theory]
    [InlineData("12 (name) S 1 2", true)]
    [InlineData("12 (name) D 1 2", true)]
    [InlineData("12 (name) R 1 2", false)]
    [InlineData("12 (name) Z 1 2", false)]
    [InlineData("12 () S", true)]
    [InlineData("12 () S) R) S 1", true)]
    [InlineData("12 () S) R 1", false)]
    [InlineData("12 (name) ", false)]
    [InlineData("12 (name)", false)]
    [InlineData("12 (na", false)]
    [InlineData("", false)]
    public void The_state_is_the_letter_behind_the_name(string stat, bool sleeping) =>
        Assert.Equal(sleeping, BlockedTurnProbe.IsSleeping(System.Text.Encoding.UTF8.GetBytes(stat)));
}
