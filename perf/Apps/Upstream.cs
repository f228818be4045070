using Yarp.ReverseProxy.Configuration;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>
/// Applications with another server behind them, at <c>--upstream URL</c>: one that asks it, and one that only passes on (YARP).
/// </summary>
internal static class Upstream
{
    internal const string Option = "upstream";

    private const string Name = "upstream";

    internal static void AddClient(WebApplicationBuilder builder)
    {
        Uri address = Address(builder);
        builder.Services.AddHttpClient(Name, client => client.BaseAddress = address);
    }

    internal static void MapClient(WebApplication app) => app.MapGet("/", static async (IHttpClientFactory clients) =>
        await clients.CreateClient(Name).GetFromJsonAsync<Greeting>("/json"));

    internal static void AddProxy(WebApplicationBuilder builder) => builder.Services.AddReverseProxy().LoadFromMemory(
        [new RouteConfig { RouteId = Name, ClusterId = Name, Match = new RouteMatch { Path = "{**rest}" } }],
        [
            new ClusterConfig
            {
                ClusterId = Name,
                Destinations = new Dictionary<string, DestinationConfig> { [Name] = new() { Address = Address(builder).ToString() } },
            },
        ]);

    private static Uri Address(WebApplicationBuilder builder) => new(
        builder.Configuration[Option] ?? throw new FormatException($"This application needs --{Option} URL."));
}
