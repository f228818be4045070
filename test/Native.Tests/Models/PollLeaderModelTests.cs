namespace KestrelNetpoll.Native.Tests.Models;

/// <summary>test/Models/poll-leader.pml: threads that wait on poll(2), and whoever changes what is asked meanwhile, in every order.</summary>
public sealed class PollLeaderModelTests
{
    private const string Model = "poll-leader.pml";

    private const string NothingIsLost = "!(lost)";
    private const string CloseCloses = "!(inKernel)";

    [Theory]
    [InlineData]
    [InlineData("THREE")]
    public async Task Nothing_is_lost_and_a_close_closes(params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertHoldsAsync(Model, scenario);
    }

    [Theory]
    [InlineData("BREAK_NO_INTERRUPTION", NothingIsLost)]
    [InlineData("BREAK_INTERRUPTION_STAYS", NothingIsLost)]
    [InlineData("BREAK_NO_PASS_ON", NothingIsLost)]
    [InlineData("BREAK_SIGNAL_FOLLOWERS_ONLY", NothingIsLost)]
    [InlineData("BREAK_NO_WAIT_FOR_LEADER", CloseCloses)]
    public async Task The_mistake_is_caught(string mistake, string property)
    {
        Spin.Require();

        await Spin.AssertCatchesAsync(Model, property, mistake);
    }
}
