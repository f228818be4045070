using System.Xml.Linq;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Reports;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class ReportTests
{
    [Fact]
    public void A_result_survives_its_file()
    {
        string json = ResultJson.Write(Results.Run());

        Assert.Equal(json, ResultJson.Write(ResultJson.Read(json)));
    }

    [Fact]
    public void A_file_of_another_kind_or_version_is_refused()
    {
        Assert.Throws<InvalidDataException>(() => ResultJson.Read("{}"));
        Assert.Throws<InvalidDataException>(() => ResultJson.Read("results"));
        Assert.Throws<InvalidDataException>(() =>
            ResultJson.Read(ResultJson.Write(Results.Run() with { Version = RunResult.CurrentVersion + 1 })));
    }

    [Fact]
    public void The_page_has_targets_figures_and_what_was_not_measured()
    {
        string page = MarkdownReport.Write(Results.Run(), [("a chart", "chart.svg")]);

        Assert.Contains(
            "| plaintext-64 | server CPU per request | netpoll | ≤ 0.55 × sockets | 0.50 | met |\n", page, StringComparison.Ordinal);
        Assert.Contains(
            "| plaintext-64 | p99 | netpoll | ≤ 1.00 × sockets | 1.19 | **missed by 19 % (ranges overlap)** |\n",
            page,
            StringComparison.Ordinal);
        Assert.DoesNotContain("| json |", page, StringComparison.Ordinal);
        Assert.Contains("21.0 µs (20.0–22.0) | 10.5 µs (10.0–11.0)", page, StringComparison.Ordinal);
        Assert.Contains("- `unix` skipped: cc is missing \\| install it", page, StringComparison.Ordinal);
        Assert.Contains("- `http2` failed: it broke", page, StringComparison.Ordinal);
        Assert.Contains("![a chart](chart.svg)", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Notes_stand_in_the_page()
    {
        RunResult run = Results.Run();
        string page = MarkdownReport.Write(
            run with { Notes = ["it was busy"], Scenarios = [run.Scenarios[0] with { WarmUpPasses = 4, Notes = ["not warm"] }] }, []);

        Assert.Contains("**Note:** it was busy.", page, StringComparison.Ordinal);
        Assert.Contains("Passes that warmed up: 4.\n**Note:** not warm.", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_row_of_a_table_has_as_many_cells_as_its_head()
    {
        int cells = 0;
        foreach (string line in MarkdownReport.Write(Results.Run(), []).Split('\n'))
        {
            int count = line.StartsWith('|') ? line.Replace("\\|", "", StringComparison.Ordinal).Count(static c => c == '|') : 0;
            Assert.True(cells == 0 || count == 0 || count == cells, line);
            cells = count;
        }
    }

    [Fact]
    public void Charts_are_well_formed()
    {
        Chart[] charts = [.. Charts.Of(Results.Run())];

        Assert.Equal(
            ["bars-rate", "bars-cpu", "bars-p99", "connections", "latency-plaintext-64", "latency-plaintext-256"],
            charts.Select(static chart => chart.Name));
        Assert.All(charts, static chart => Assert.Equal("svg", XDocument.Parse(chart.Svg).Root?.Name.LocalName));
    }

    [Fact]
    public void A_result_without_figures_has_no_charts()
    {
        Assert.Empty(Charts.Of(Results.Run() with { Scenarios = [] }));
    }

    [Fact]
    public void Files_are_named_after_the_result()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("compare-tests-");
        try
        {
            ReportFiles.Render(Results.Run(), directory.FullName, "record");

            Assert.Contains("![", File.ReadAllText(Path.Combine(directory.FullName, "record.md")), StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(directory.FullName, "record-connections.svg")));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
