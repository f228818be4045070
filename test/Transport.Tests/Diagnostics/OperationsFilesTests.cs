using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Layout;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>The dashboard, the alert rules and the page on metrics speak of what there is, and the page of all of it.</summary>
[OneMode]
public sealed partial class OperationsFilesTests
{
    [Theory]
    [InlineData("grafana-dashboard.json")]
    [InlineData("prometheus-alerts.yml")]
    public void Queries_use_metrics_and_labels_that_exist(string file)
    {
        HashSet<string> known = [];
        foreach (Instrument instrument in GetInstruments())
        {
            known.UnionWith(NamesInPrometheus(instrument));
        }

        known.UnionWith(
            new[] { NetpollMetrics.WorkerStateTag, NetpollMetrics.DeadlineOutcomeTag, HandOffDelay.ReasonTag, NetpollConnection.EndTag }
                .Select(static tag => tag.Replace('.', '_')));
        string[] used = [.. PrometheusName().Matches(Read(file)).Select(static match => match.Value).Distinct()];

        Assert.InRange(used.Length, 5, int.MaxValue);
        Assert.Empty(used.Except(known));
    }

    [Fact]
    public void The_dashboard_is_json_and_every_panel_asks_for_something()
    {
        using JsonDocument dashboard = JsonDocument.Parse(Read("grafana-dashboard.json"));

        JsonElement[] panels = [.. dashboard.RootElement.GetProperty("panels").EnumerateArray()];

        Assert.All(panels, static panel =>
        {
            Assert.NotEmpty(panel.GetProperty("title").GetString()!);
            Assert.NotEmpty(panel.GetProperty("targets").EnumerateArray());
            Assert.All(
                panel.GetProperty("targets").EnumerateArray(), static target => Assert.NotEmpty(target.GetProperty("expr").GetString()!));
        });
        Assert.Equal(panels.Length, panels.Select(static panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
    }

    [Fact]
    public void The_page_has_every_instrument_with_its_unit_and_no_other()
    {
        string page = Read("metrics.md");
        string[] rows = [.. MeterRow().Matches(page).Select(static match => $"{match.Groups["name"].Value} {match.Groups["unit"].Value}")];

        Assert.Equal(GetInstruments().Select(static instrument => $"{instrument.Name} {instrument.Unit}").Order(), rows.Order());
    }

    // OpenTelemetry's rules: dots become underscores, a unit in braces goes, a counter ends with _total.
    private static IEnumerable<string> NamesInPrometheus(Instrument instrument)
    {
        string unit = instrument.Unit switch { "By" => "_bytes", "s" => "_seconds", _ => "" };
        string name = instrument.Name.Replace('.', '_') + unit;
        string kind = instrument.GetType().Name;
        if (kind.StartsWith("ObservableCounter", StringComparison.Ordinal))
        {
            return [$"{name}_total"];
        }

        return kind.StartsWith("Histogram", StringComparison.Ordinal) ? [$"{name}_bucket", $"{name}_sum", $"{name}_count"] : [name];
    }

    private static IReadOnlyCollection<Instrument> GetInstruments()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        IMeterFactory meters = services.GetRequiredService<IMeterFactory>();
        NetpollMetrics.Register(meters, MetricsTests.CreateSource(static () => default));
        using var measured = new Measured(meters);
        return measured.Instruments;
    }

    private static string Read(string file) => File.ReadAllText(Path.Combine(Repository.Root, "docs/operate", file));

    [GeneratedRegex(@"netpoll_[a-z_]+")]
    private static partial Regex PrometheusName();

    [GeneratedRegex(@"^\| `(?<name>netpoll\.[a-z_.]+)` \| [a-z -]+ \| `(?<unit>[^`]+)` \|", RegexOptions.Multiline)]
    private static partial Regex MeterRow();
}
