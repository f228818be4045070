namespace KestrelNetpoll.Native.Tests.Models;

/// <summary>
/// test/Models/worker-sleep.pml: workers that go to sleep or idle, turns that block, the monitor that hands their processors on, in every order.
/// </summary>
public sealed class WorkerSleepModelTests
{
    private const string Model = "worker-sleep.pml";

    private const string NoWorkIsLost = "!(lostWork)";
    private const string OnlyTheHolderTouchesAProcessor = "(holder[mine]==me)";
    private const string ARunningTurnIsWatched = "!((monitorSleeps&&dozing))";

    [Slow]
    [Theory]
    [InlineData]
    [InlineData("HAND_OFF")]
    [InlineData("NO_SPARE")]
    [InlineData("ALONE")]
    [InlineData("DEADLINE")]
    [InlineData("IDLE")]
    [InlineData("THREE")]
    [InlineData("THREE_IDLE")]
    public async Task No_work_is_lost_and_a_processor_has_one_holder(params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertHoldsAsync(Model, scenario);
    }

    [Theory]
    [InlineData("BREAK_LOOK_BEFORE_ANNOUNCE", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_NO_LOOK_AT_OTHERS", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_SIGNAL_BEFORE_ENQUEUE", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_NO_PASS_ON", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_PASS_ON_BEFORE_PUSH", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_GROUP_TURN_WITHOUT_PASS_ON", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_STEAL_WITHOUT_PASS_ON", NoWorkIsLost, "THREE")]
    [InlineData("BREAK_PASS_ON_IGNORES_OTHERS", NoWorkIsLost, "THREE")]
    [InlineData("BREAK_PASS_ON_IGNORES_DEADLINES", NoWorkIsLost, "DEADLINE")]
    [InlineData("BREAK_NO_SECOND_LOOK_AT_DEADLINES", NoWorkIsLost, "DEADLINE")]
    [InlineData("BREAK_REARM_WITHOUT_PASS_ON", NoWorkIsLost, "DEADLINE")]
    [InlineData("BREAK_REST_WITHOUT_PASS_ON", NoWorkIsLost, "IDLE")]
    [InlineData("BREAK_ALL_REST", NoWorkIsLost, "IDLE")]
    [InlineData("BREAK_LEAVE_THEM_IDLE", NoWorkIsLost, "IDLE")]
    [InlineData("BREAK_CLEAR_BEFORE_READ", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_CLEAR_LATE", NoWorkIsLost, "NO_SPARE")]
    [InlineData("BREAK_IGNORE_THAT_NOBODY_SLEEPS", NoWorkIsLost, "ALONE")]
    [InlineData("BREAK_IGNORE_QUEUES", NoWorkIsLost, "HAND_OFF", "BREAK_NO_PASS_ON")]
    [InlineData("BREAK_DOZE_WITHOUT_LOOKING", ARunningTurnIsWatched, "NO_SPARE")]
    [InlineData("BREAK_KICK_BEFORE_TURN", ARunningTurnIsWatched, "NO_SPARE")]
    [InlineData("BREAK_NO_KICK", ARunningTurnIsWatched, "NO_SPARE")]
    [InlineData("BREAK_RETURN_BY_STORE", OnlyTheHolderTouchesAProcessor, "ALONE")]
    [InlineData("BREAK_NO_SEQUENCE", OnlyTheHolderTouchesAProcessor, "ALONE")]
    [InlineData("BREAK_USE_BEFORE_RETURN", OnlyTheHolderTouchesAProcessor, "ALONE")]
    [InlineData("BREAK_LOCAL_SCHEDULE_IN_TURN", OnlyTheHolderTouchesAProcessor, "ALONE")]
    public async Task The_mistake_is_caught(string mistake, string property, params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertCatchesAsync(Model, property, [mistake, .. scenario]);
    }
}
