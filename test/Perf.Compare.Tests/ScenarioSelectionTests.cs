using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class ScenarioSelectionTests
{
    [Fact]
    public void Names_are_unique()
    {
        Assert.Equal(ScenarioCatalogue.All.Count, ScenarioCatalogue.All.DistinctBy(static scenario => scenario.Name).Count());
    }

    [Fact]
    public void Without_a_choice_all_are_chosen_or_the_quick_ones()
    {
        Assert.Equal(ScenarioCatalogue.All, ScenarioSelection.Select(ScenarioCatalogue.All, [], isQuick: false));
        Assert.Equal(
            ScenarioCatalogue.All.Where(static scenario => scenario.IsQuick),
            ScenarioSelection.Select(ScenarioCatalogue.All, [], isQuick: true));
    }

    [Theory]
    [InlineData("json", new[] { "json" })]
    [InlineData("churn-*", new[] { "churn-1", "churn-10" })]
    [InlineData("http2,json", new[] { "json", "http2" })]
    [InlineData("idle-?????, json", new[] { "json", "idle-plain" })]
    [InlineData("json,j*", new[] { "json" })]
    public void Names_and_globs_choose_in_the_order_of_the_catalogue(string pattern, string[] expected)
    {
        Assert.Equal(expected, Names([pattern]));
    }

    [Fact]
    public void A_choice_is_not_cut_down_by_a_quick_run()
    {
        Assert.Equal(["unix"], ScenarioSelection.Select(ScenarioCatalogue.All, ["unix"], isQuick: true).Select(static scenario => scenario.Name));
    }

    [Fact]
    public void Paths_are_measured_alone_or_before_the_scenarios_that_are_chosen()
    {
        CompareOptions options = CommandLineTests.Parse("--path", "/spin/1", "--connections", "2");

        Scenario scenario = Assert.Single(ScenarioSelection.Select(options));
        Assert.Equal(("path-spin-1-2", "/spin/1", 2), (scenario.Name, ((LoadScenario)scenario).Path, scenario.Connections));
        Assert.Equal(
            ["path-spin-1-2", "json"],
            ScenarioSelection.Select(options with { Scenarios = ["json"] }).Select(static chosen => chosen.Name));
    }

    [Fact]
    public void A_pattern_that_matches_nothing_is_an_error()
    {
        Assert.Contains("'jsn'", Assert.Throws<FormatException>(() => Names(["json,jsn"])).Message, StringComparison.Ordinal);
    }

    private static string[] Names(string[] patterns) =>
        [.. ScenarioSelection.Select(ScenarioCatalogue.All, patterns, isQuick: false).Select(static scenario => scenario.Name)];
}
