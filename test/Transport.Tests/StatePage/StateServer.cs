using System.Text.Json;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.StatePage;

/// <summary>A server with the state page, and whoever looks at it.</summary>
internal sealed class StateServer : IAsyncDisposable
{
    internal const string Path = "/netpoll";

    private readonly HttpClient _client = new();

    private StateServer(TestServer server) => Server = server;

    internal TestServer Server { get; }

    internal Uri Page => new($"http://{Server.EndPoint}{Path}");

    internal static async Task<StateServer> StartAsync(
        Action<TestServerSetup>? configure = null,
        TransportKind kind = TransportKind.Netpoll,
        Action<IEndpointConventionBuilder>? conventions = null) =>
        new(await TestServer.StartAsync(kind, setup =>
        {
            setup.Services = static services => services.AddRouting();
            setup.Pipeline = app =>
            {
                app.UseRouting();
                app.UseEndpoints(endpoints =>
                {
                    IEndpointConventionBuilder mapped = endpoints.MapNetpollDiagnostics(Path);
                    conventions?.Invoke(mapped);
                });
            };
            configure?.Invoke(setup);
        }));

    internal Task<HttpResponseMessage> SendAsync(string below = "", params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Page + below));
        foreach ((string name, string value) in headers)
        {
            request.Headers.Add(name, value);
        }

        return _client.SendAsync(request).InTime();
    }

    internal async Task<JsonElement> LookAsync(string query = "")
    {
        using HttpResponseMessage response = await SendAsync($"/state{query}");
        Assert.Equal(StatusCodes.Status200OK, (int)response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        using JsonDocument report = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        return report.RootElement.Clone();
    }

    /// <summary>Looks until what there is, is as it should be.</summary>
    internal async Task<JsonElement> LookUntilAsync(Func<JsonElement, bool> condition, string what, string query = "")
    {
        JsonElement report = default;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!condition(report = await LookAsync(query)))
        {
            Assert.True(clock.Elapsed < Patience.Limit, $"Gave up waiting until {what}. There is: {report}");
            await Task.Delay(5);
        }

        return report;
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await Server.DisposeAsync();
    }
}

/// <summary>What tests read of a report.</summary>
internal static class ReportExtensions
{
    internal static JsonElement[] Connections(this JsonElement report) =>
        [.. report.GetProperty("connections").GetProperty("listed").EnumerateArray()];

    /// <summary>The one of this peer; null: it is not listed.</summary>
    internal static JsonElement? Of(this JsonElement report, RawClient client) => report.Connections()
        .Where(connection => connection.Text("peer") == client.Socket.LocalEndPoint!.ToString())
        .Cast<JsonElement?>()
        .SingleOrDefault();

    internal static string? Text(this JsonElement element, string name) => element.GetProperty(name).GetString();

    internal static int Number(this JsonElement element, string name) => element.GetProperty(name).GetInt32();
}
