namespace KestrelNetpoll.Samples.Tests;

public sealed class ObservabilityTests
{
    [Fact]
    public async Task Prometheus_finds_the_transports_metrics()
    {
        await using SampleProcess sample = SampleProcess.Start("Observability", "--urls", "http://127.0.0.1:0");
        using var client = new HttpClient { BaseAddress = new Uri(await sample.FindAsync(@"^Listening on (\S+)$")) };
        Assert.Equal("Blocked for 1 ms.\n", await client.GetStringAsync("/block/1"));
        Assert.Equal("Healthy", await client.GetStringAsync("/health"));

        string metrics = await client.GetStringAsync("/metrics");

        Assert.Matches(@"(?m)^# TYPE netpoll_turns_total counter$", metrics);
        Assert.Matches(@"(?m)^netpoll_turns_total\S* [1-9]", metrics);
        Assert.Matches(@"(?m)^netpoll_connection_active\S* 1$", metrics);
        Assert.Matches(@"(?m)^kestrel_active_connections", metrics);
    }

    [Fact]
    public void What_the_configuration_names_is_there()
    {
        string folder = Path.Combine(SampleProcess.Repository, "samples/Observability");
        string rules = File.ReadLines(Path.Combine(folder, "prometheus.yml")).Single(static line => line.Contains("alerts", StringComparison.Ordinal));
        Assert.True(File.Exists(Path.Combine(folder, rules.TrimStart(' ', '-'))));
        string[] mounted =
        [
            .. File.ReadLines(Path.Combine(folder, "compose.yaml")).Select(static line => line.Trim())
                .Where(static line => line.StartsWith("- .", StringComparison.Ordinal)).Select(static line => line[2..].Split(':')[0]),
        ];
        Assert.Equal(5, mounted.Length);
        Assert.All(mounted, path => Assert.True(Path.Exists(Path.Combine(folder, path)), path));
    }
}
