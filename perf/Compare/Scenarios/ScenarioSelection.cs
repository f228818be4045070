using System.IO.Enumeration;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Which scenarios a command line means.</summary>
internal static class ScenarioSelection
{
    /// <summary>Those that the options name: catalogued ones, routes, or both.</summary>
    /// <exception cref="FormatException">A pattern matches nothing; the message is for the user.</exception>
    internal static IReadOnlyList<Scenario> Select(CompareOptions options)
    {
        Scenario[] ofPaths = [.. options.Paths.Select(path => ScenarioCatalogue.OfPath(path, options.Connections))];
        return ofPaths.Length > 0 && options.Scenarios.Count == 0
            ? ofPaths
            : [.. ofPaths, .. Select(ScenarioCatalogue.All, options.Scenarios, options.IsQuick)];
    }

    /// <param name="all">All there are.</param>
    /// <param name="patterns">Names, globs, or several with commas between; empty: all, or in a quick run those that are quick.</param>
    /// <param name="isQuick">Whether the run is a quick one.</param>
    /// <exception cref="FormatException">A pattern matches nothing; the message is for the user.</exception>
    internal static IReadOnlyList<Scenario> Select(IReadOnlyList<Scenario> all, IEnumerable<string> patterns, bool isQuick)
    {
        string[] names = [.. patterns.SelectMany(static pattern =>
            pattern.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];
        if (names.Length == 0)
        {
            return [.. all.Where(scenario => !isQuick || scenario.IsQuick)];
        }

        foreach (string name in names)
        {
            if (!all.Any(scenario => Matches(name, scenario)))
            {
                throw new FormatException($"No scenario is called '{name}'; --list shows them all.");
            }
        }

        return [.. all.Where(scenario => names.Any(name => Matches(name, scenario)))];
    }

    private static bool Matches(string pattern, Scenario scenario) => FileSystemName.MatchesSimpleExpression(pattern, scenario.Name);
}
