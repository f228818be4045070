namespace KestrelNetpoll.Native.Tests.Models;

/// <summary>test/Models/held-output.pml: output that is held, and everybody who may send it, in every order.</summary>
public sealed class HeldOutputModelTests
{
    private const string Model = "held-output.pml";

    private const string NothingIsForgotten = "( !(queuedByA)&& !(queuedByB))";
    private const string NoTurnWaitsForAnother = "!(queuedByB) (at";
    private const string NothingIsForgottenOutside = "!(due)";

    [Theory]
    [InlineData]
    [InlineData("OUTSIDE")]
    public async Task Nothing_that_is_held_is_forgotten(params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertHoldsAsync(Model, scenario);
    }

    [Theory]
    [InlineData("BREAK_NO_SECOND_LOOK", NothingIsForgotten)]
    [InlineData("BREAK_TAKE_THE_LIST_FIRST", NothingIsForgotten)]
    [InlineData("BREAK_UNLIST_AFTER_SEND", NothingIsForgotten)]
    [InlineData("BREAK_HOLD_WHEREVER_IT_IS_LISTED", NoTurnWaitsForAnother)]
    [InlineData("BREAK_HELD_AFTER_LISTING", NothingIsForgotten)]
    [InlineData("BREAK_HELD_AFTER_LISTING", NothingIsForgottenOutside, "OUTSIDE")]
    [InlineData("BREAK_LIST_BEFORE_DUE", NothingIsForgottenOutside, "OUTSIDE")]
    [InlineData("BREAK_NO_LOOK_AT_THE_STOP", NothingIsForgottenOutside, "OUTSIDE")]
    [InlineData("BREAK_NO_LOOK_AFTER_UNLISTING", NothingIsForgottenOutside, "OUTSIDE")]
    public async Task The_mistake_is_caught(string mistake, string property, params string[] scenario)
    {
        Spin.Require();

        await Spin.AssertCatchesAsync(Model, property, [mistake, .. scenario]);
    }
}
