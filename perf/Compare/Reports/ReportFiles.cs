using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>The files of a run.</summary>
internal static class ReportFiles
{
    internal const string JsonName = "results.json";
    internal const string MarkdownName = "results.md";

    /// <summary>The result itself, and all that is made of it.</summary>
    internal static void Write(RunResult run, string directory)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, JsonName), ResultJson.Write(run));
        Render(run, directory, Path.GetFileNameWithoutExtension(JsonName));
    }

    /// <summary>What is made of a result: a page under the name of the result's file, and charts.</summary>
    internal static void Render(RunResult run, string directory, string name)
    {
        Directory.CreateDirectory(directory);
        List<(string Title, string File)> charts = [];
        foreach (Chart chart in Charts.Of(run))
        {
            string file = $"{name}-{chart.Name}.svg";
            File.WriteAllText(Path.Combine(directory, file), chart.Svg);
            charts.Add((chart.Title, file));
        }

        File.WriteAllText(Path.Combine(directory, name + ".md"), MarkdownReport.Write(run, charts));
    }
}
