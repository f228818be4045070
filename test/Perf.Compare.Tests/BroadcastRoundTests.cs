using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class BroadcastRoundTests
{
    [Fact]
    public async Task A_round_is_over_when_all_have_the_message()
    {
        var round = new BroadcastRound(receivers: 2);
        string message = round.Begin();

        round.Receive(message);
        Assert.False(round.Completion.IsCompleted);
        round.Receive(message);

        Assert.Equal(2, (await round.Completion).Length);
        Assert.NotEqual(message, round.Begin());
    }

    [Fact]
    public async Task A_message_of_another_round_is_wrong()
    {
        var round = new BroadcastRound(receivers: 1);
        string first = round.Begin();
        round.Begin();

        round.Receive(first);

        await Assert.ThrowsAsync<LoadException>(() => round.Completion);
    }
}
