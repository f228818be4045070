using System.Text;
using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>The scenarios on applications as people write them.</summary>
internal static class AppScenarios
{
    private const int Connections = 64;
    private const int EchoSize = 500;
    private const string Json = "application/json";

    private static readonly Metric[] Requests = [Metrics.Rate, Metrics.Cpu, Metrics.P99];

    // With the braces, the name and the quotes 500 bytes.
    private static readonly string EchoBody = $$"""{"message":"{{new string('x', EchoSize - """{"message":""}""".Length)}}"}""";

    internal static readonly IReadOnlyList<Scenario> All =
    [
        Get("app-string", "minimal API, a string", "minimal", "/", isQuick: true),
        Get("app-json", "minimal API, an object", "minimal", "/json"),
        Get("app-typed", "minimal API, a typed result", "minimal", "/typed"),
        Post("app-post", "minimal API, 500 bytes of JSON in and out", "minimal", "/echo", EchoBody),
        Get("mvc-get", "MVC, an object", "mvc", "/products/1", isQuick: true),
        Post("mvc-post", "MVC, model binding and validation", "mvc", "/products", """{"id":1,"name":"A product","price":9.95}"""),
        Get("razor", "a Razor page", "razor", "/report"),
        Get("static-10k", "a static file of 10 KB", "static", "/10k.txt", isQuick: true),
        Get("static-1m", "a static file of 1 MB", "static", "/1m.txt"),
        Get("read-file", "File.ReadAllTextAsync, then a string", "read-file", "/file"),
        Get("await-1", "one Task.Yield, then a string", "awaits", "/one", isQuick: true),
        Get("await-3", "three times Task.Yield, then a string", "awaits", "/three"),
    ];

    private static AppScenario Get(string name, string title, string app, string path, bool isQuick = false) => new()
    {
        Name = name,
        Title = title,
        App = app,
        Path = path,
        Connections = Connections,
        Headline = Requests,
        IsQuick = isQuick,
    };

    private static AppScenario Post(string name, string title, string app, string path, string json) => new()
    {
        Name = name,
        Title = title,
        App = app,
        Path = path,
        Connections = Connections,
        Headline = Requests,
        Body = Encoding.UTF8.GetBytes(json),
        Headers = new Dictionary<string, string> { ["Content-Type"] = Json },
    };
}
