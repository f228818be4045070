namespace KestrelNetpoll.Native.Tests.Models;

/// <summary>
/// test/Models/poll-semaphore.pml: parking on a descriptor, against events, deadlines, cancellation, close and reuse of
/// the slot, in every order.
/// </summary>
public sealed class PollSemaphoreModelTests
{
    private const string Model = "poll-semaphore.pml";

    private const string NoWakeUpIsLost = "!(lostWakeUp)";
    private const string OnlyItsOwnEventsAndTimersChangeAnIncarnation = "(meant==incarnation)";
    private const string AnEdgeCostsOneRetry = "(retriesDue>0)";
    private const string NothingIsTouchedAfterTheCommit = "!(parked)";
    private const string WhoIsTakenIsKnown = "(waiter==incarnation)";

    [Slow]
    [Theory]
    [InlineData]
    [InlineData("REUSE")]
    [InlineData("LATE_TIMER")]
    [InlineData("ARMED")]
    public async Task No_wake_up_is_lost_and_no_stranger_is_touched(params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertHoldsAsync(Model, scenario);
    }

    [Theory]
    [InlineData("BREAK_LOOK_BEFORE_ANNOUNCE", NoWakeUpIsLost)]
    [InlineData("BREAK_LOOK_BEFORE_PUBLISHING", NoWakeUpIsLost)]
    [InlineData("BREAK_FLAG_AFTER_WAKE", NoWakeUpIsLost)]
    [InlineData("BREAK_NO_FENCE_IN_WAKE", NoWakeUpIsLost)]
    [InlineData("BREAK_RESET_AFTER_EAGAIN", NoWakeUpIsLost)]
    [InlineData("BREAK_COMMIT_BY_STORE", NoWakeUpIsLost)]
    [InlineData("BREAK_WITHDRAW_BY_STORE", NoWakeUpIsLost)]
    [InlineData("BREAK_CANCEL_DROPS_LATCH", NoWakeUpIsLost)]
    [InlineData("BREAK_WAITER_AFTER_COMMIT", WhoIsTakenIsKnown)]
    [InlineData("BREAK_COLLECT_KEEPS_LATCH", AnEdgeCostsOneRetry)]
    [InlineData("BREAK_NO_FDSEQ_CHECK", OnlyItsOwnEventsAndTimersChangeAnIncarnation, "REUSE")]
    [InlineData("BREAK_FDSEQ_CHECK_APART", OnlyItsOwnEventsAndTimersChangeAnIncarnation, "REUSE")]
    [InlineData("BREAK_NO_TIMER_SEQUENCE", OnlyItsOwnEventsAndTimersChangeAnIncarnation, "LATE_TIMER")]
    [InlineData("BREAK_NO_ARM", NoWakeUpIsLost, "ARMED")]
    [InlineData("BREAK_ARM_AFTER_COMMIT", NothingIsTouchedAfterTheCommit, "ARMED")]
    public async Task The_mistake_is_caught(string mistake, string property, params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertCatchesAsync(Model, property, [mistake, .. scenario]);
    }
}
