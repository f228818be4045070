using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Tests;

/// <summary>Results to test with.</summary>
internal static class Results
{
    internal static LegResult Leg(string name, bool isLimited, params (string Metric, double[] Values)[] columns) => new(
        name,
        name,
        [.. Enumerable.Range(0, columns[0].Values.Length).Select(i => new Sample(
            i + 1, isLimited, columns.ToDictionary(static column => column.Metric, column => column.Values[i])))]);

    internal static ScenarioResult Scenario(string name, int? connections, IReadOnlyList<string> headline, params LegResult[] legs) =>
        new(name, $"the <scenario> & \"{name}\"", connections, headline, "wrk", ScenarioStatus.Measured, null, legs);

    /// <summary>Some of everything: two numbers of connections, percentiles, an own leg, one scenario skipped and one failed.</summary>
    internal static RunResult Run() => new(
        RunResult.CurrentVersion,
        new MachineReport("Linux 6.1 X64", "A processor", 2, 8_000_000_000, ".NET 10.0.0"),
        new RunSettings(
            "--passes 3",
            "0123abc",
            new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            3,
            1.5,
            "sockets",
            new Dictionary<string, string> { ["wrk"] = "wrk 4.1.0 [epoll]" }),
        [
            Plaintext("plaintext-64", 64, scale: 1),
            Plaintext("plaintext-256", 256, scale: 1.1),
            Scenario(
                "echo", 64, ["cpu"],
                Leg("sockets", false, ("cpu", [6, 7, 8])),
                Leg("netpoll", false, ("cpu", [3, 3.1, 3.2])),
                Leg("c-epoll", false, ("cpu", [2, 2.1, 2.2]))),
            Scenario("unix", 64, ["cpu"]) with { Status = ScenarioStatus.Skipped, Reason = "cc is missing | install it", Legs = [] },
            Scenario("http2", 16, ["cpu"]) with { Status = ScenarioStatus.Failed, Reason = "it\nbroke", Legs = [] },
        ]);

    private static ScenarioResult Plaintext(string name, int connections, double scale) => Scenario(
        name, connections, ["rate", "cpu", "p99"],
        Leg(
            "sockets", false,
            ("rate", [1000 * scale, 1100 * scale, 1200 * scale]), ("cpu", [20, 21, 22]), ("p50", [500, 510, 520]), ("p99", [2000, 2100, 2200]),
            ("p99.9", [5000, 6000, 7000])),
        Leg(
            "netpoll", false,
            ("rate", [1500 * scale, 1600 * scale, 1700 * scale]), ("cpu", [10, 10.5, 11]), ("p50", [400, 410, 420]), ("p99", [2150, 2500, 2600]),
            ("p99.9", [4000, 5500, 9000])));
}
