using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>All scenarios there are, in the order in which they run.</summary>
internal static class ScenarioCatalogue
{
    internal const string PlaintextPrefix = "plaintext-";

    private static readonly int[] ConnectionCounts = [1, 16, 64, 256, 1024, 4096];
    private static readonly int[] QuickConnectionCounts = [64, 1024];
    private static readonly Metric[] Requests = [Metrics.Rate, Metrics.Cpu, Metrics.P99];
    private static readonly Metric[] Transfer = [Metrics.Throughput, Metrics.BytesPerCpuSecond, Metrics.P99];
    private static readonly Metric[] Memory = [Metrics.HeapPerConnection, Metrics.ResidentPerConnection, Metrics.IdleCpu];
    private static readonly Metric[] Fairness =
        [Metrics.Rate, Metrics.P99, Metrics.BlockingRate, Metrics.NewP99, Metrics.Unanswered];

    private static readonly (string Name, int Connections, int Streams)[] Http2Loads =
        [("c16m8", 16, 8), ("c1m100", 1, 100), ("c64m1", 64, 1)];

    internal static readonly IReadOnlyList<Scenario> All =
    [
        .. ConnectionCounts.Select(static count => new LoadScenario
        {
            Name = FormattableString.Invariant($"{PlaintextPrefix}{count}"),
            Title = FormattableString.Invariant($"plain text, keep-alive, {count} connection{(count == 1 ? "" : "s")}"),
            Connections = count,
            Headline = Requests,
            IsQuick = QuickConnectionCounts.Contains(count),
        }),
        new LoadScenario
        {
            Name = "pipelined-16", Title = "plain text, 16 requests at once on each of 64 connections", Connections = 64, Depth = 16,
            Headline = Requests, IsQuick = true,
        },
        new LoadScenario
        {
            Name = "json", Title = "JSON, 64 connections", Connections = 64, Path = "/json", Headline = Requests, IsQuick = true,
        },
        new LoadScenario
        {
            Name = "download-1k", Title = "downloads of 1 KB, 64 connections", Connections = 64, Path = "/download/1024",
            Headline = Requests,
        },
        new LoadScenario
        {
            Name = "download-16k", Title = "downloads of 16 KB, 64 connections", Connections = 64, Path = "/download/16384",
            Headline = Transfer,
        },
        new LoadScenario
        {
            Name = "download-1m", Title = "downloads of 1 MB, 16 connections", Connections = 16, Path = "/download/1000000",
            Headline = Transfer, IsQuick = true,
        },
        Upload("upload-1k", "uploads of 1 KB, 64 connections", connections: 64, bytes: 1024, Requests),
        Upload("upload-1m", "uploads of 1 MB, 16 connections", connections: 16, bytes: 1_000_000, Transfer),
        Upload("upload-100m", "uploads of 100 MB, 4 connections", connections: 4, bytes: 100_000_000, Transfer),
        new LoadScenario
        {
            Name = "churn-1", Title = "a connection for each request, 64 at once", Connections = 64, RequestsPerConnection = 1,
            Headline = Requests, IsQuick = true,
        },
        new LoadScenario
        {
            Name = "churn-10", Title = "a connection for ten requests, 64 at once", Connections = 64, RequestsPerConnection = 10,
            Headline = Requests,
        },
        new LoadScenario
        {
            Name = "tls-64", Title = "plain text over TLS, keep-alive, 64 connections", Connections = 64, IsTls = true, Headline = Requests,
            IsQuick = true,
        },
        new LoadScenario
        {
            Name = "tls-churn", Title = "a TLS connection for each request, 16 at once", Connections = 16, IsTls = true,
            RequestsPerConnection = 1, Headline = Requests,
        },
        new LoadScenario
        {
            Name = "http2", Title = "plain text over HTTP/2 and TLS, 16 connections with 16 streams each", Connections = 16, IsTls = true,
            Depth = 16, Protocol = LoadProtocol.Http2, Headline = [Metrics.Rate, Metrics.Cpu], IsQuick = true,
        },
        .. Http2Loads.Select(static load => Http2($"h2c-{load.Name}", "in clear text", load, isTls: false)),
        .. Http2Loads.Select(static load => Http2($"h2-{load.Name}", "over TLS", load, isTls: true)),
        new LoadScenario
        {
            Name = "websocket", Title = "WebSocket round trips of 64 bytes, 64 connections", Connections = 64, Path = "/websocket",
            Protocol = LoadProtocol.WebSocket, Headline = Requests, IsQuick = true,
        },
        new LoadScenario
        {
            Name = "unix", Title = "plain text over a Unix socket, 64 connections", Connections = 64, IsUnix = true, Headline = Requests,
        },
        .. AppScenarios.All,
        .. OpenLoopScenario.All,
        new EchoScenario
        {
            Name = "echo", Title = "raw echo of 64 bytes, 64 connections", Connections = 64, Protocol = LoadProtocol.Echo,
            Headline = Requests, IsQuick = true,
        },
        new IdleScenario { Name = "idle-plain", Title = "idle connections after one request each", Headline = Memory, IsQuick = true },
        new IdleScenario { Name = "idle-tls", Title = "idle TLS connections after one request each", Headline = Memory, IsTls = true },
        new SlowReadersScenario
        {
            Name = "slow-readers", Title = "16 fast connections beside 100 that read 100 MB slowly", Connections = 16,
            Headline = [Metrics.Rate, Metrics.Cpu, Metrics.P99, Metrics.PeakMemory],
        },
        new BesideScenario
        {
            Name = "beside-downloads", Title = "short requests beside 16 downloads of 100 MB", LargeBytes = 100_000_000, Downloads = 16,
            Headline = [Metrics.NewP50, Metrics.P99, Metrics.BytesPerCpuSecond, Metrics.Throughput],
        },
        new BesideScenario
        {
            Name = "beside-unread", Title = "short requests behind 400 clients that ask for 4 MB and do not read", LargeBytes = 4_000_000,
            Unread = 400, Headline = [Metrics.NewP50, Metrics.P99, Metrics.Cpu],
        },
        new MixedScenario
        {
            Name = "mixed", Title = "32 fast clients beside all other kinds: short, TLS, WebSocket, uploads, resets, slow, blocking",
            Connections = 32, Headline = [Metrics.Rate, Metrics.Cpu, Metrics.P99, Metrics.OtherRate],
        },
        Mix("mix-sleep", "Thread.Sleep(100)", "/sleep/100", isQuick: true),
        Mix("mix-wait", "Task.Delay(100).Wait()", "/wait/100"),
        Mix("mix-fifo", "read(2) of a pipe", "/fifo"),
        Mix("mix-after-await", "Thread.Sleep(100) after an await", "/delayblock/100"),
        new BlockingMixScenario
        {
            Name = "mix-h2", Title = "8 fast clients beside 200 HTTP/2 streams whose handler is in Thread.Sleep(100) after an await",
            BlockingPath = "/delayblock/100", IsHttp2 = true, Headline = Fairness,
        },
        Mix("mix-compute", "a computation of 5 ms", "/spin/5", clients: 4),
        new ColdStartScenario
        {
            Name = "cold-start", Title = "start of the process to the first answer",
            Headline = [Metrics.FirstAnswer, Metrics.StartCpu], IsQuick = true,
        },
        new ColdStartScenario
        {
            Name = "cold-start-r2r", Title = "start of the process to the first answer, published with ReadyToRun", IsPublished = true,
            Headline = [Metrics.FirstAnswer, Metrics.StartCpu],
        },
    ];

    /// <summary>A route that no scenario has, as it is asked for by hand.</summary>
    internal static LoadScenario OfPath(string path, int connections) => new()
    {
        Name = FormattableString.Invariant($"path{path.TrimEnd('/').Replace('/', '-')}-{connections}"),
        Title = FormattableString.Invariant($"{path}, keep-alive, {connections} connection{(connections == 1 ? "" : "s")}"),
        Path = path,
        Connections = connections,
        Headline = Requests,
    };

    private static LoadScenario Upload(string name, string title, int connections, long bytes, IReadOnlyList<Metric> headline) => new()
    {
        Name = name,
        Title = title,
        Connections = connections,
        Path = "/upload",
        UploadBytes = bytes,
        Headline = headline,
    };

    private static LoadScenario Http2(string name, string how, (string Name, int Connections, int Streams) load, bool isTls) => new()
    {
        Name = name,
        Title = FormattableString.Invariant($"plain text over HTTP/2 {how}, connections: {load.Connections}, streams each: {load.Streams}"),
        Connections = load.Connections,
        Depth = load.Streams,
        IsTls = isTls,
        Protocol = LoadProtocol.Http2,
        Headline = Requests,
    };

    private static BlockingMixScenario Mix(string name, string handler, string path, int clients = 200, bool isQuick = false) => new()
    {
        Name = name,
        Title = $"8 fast clients beside {clients} whose handler is in {handler}",
        BlockingPath = path,
        BlockingClients = clients,
        Headline = Fairness,
        IsQuick = isQuick,
    };
}
