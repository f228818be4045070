using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>The applications there are, by the names that <c>--app</c> takes.</summary>
internal static class AppCatalogue
{
    /// <summary>The options that these have beside those of every measured program.</summary>
    internal static readonly string[] Options = ["app", AppData.Option, Upstream.Option, Fortunes.Option];

    private static readonly Dictionary<string, MeasuredApp> All = new()
    {
        ["minimal"] = new(static _ => { }, static (app, _) => MinimalApi.Map(app)),
        ["mvc"] = new(static builder => builder.Services.AddControllers(), static (app, _) => app.MapControllers()),
        ["razor"] = new(static builder => builder.Services.AddRazorPages(), static (app, _) => app.MapRazorPages()),
        ["static"] = new(static _ => { }, static (app, _) => app.UseStaticFiles()),
        ["compressed"] = new(static builder => builder.Services.AddResponseCompression(), static (app, _) => Compressed.Map(app)),
        ["read-file"] = new(static _ => { }, ReadFile.Map),
        ["awaits"] = new(static _ => { }, static (app, _) => Awaits.Map(app)),
        ["output-cache"] = new(static builder => builder.Services.AddOutputCache(), static (app, _) => OutputCaching.Map(app)),
        ["sse"] = new(static _ => { }, static (app, _) => ServerSentEvents.Map(app)),
        ["grpc"] = new(static builder => builder.Services.AddGrpc(), static (app, _) => app.MapGrpcService<GreeterService>()),
        ["signalr"] = new(static builder => builder.Services.AddSignalR(), static (app, _) => app.MapHub<MessageHub>("/hub")),
        ["http-client"] = new(Upstream.AddClient, static (app, _) => Upstream.MapClient(app)),
        ["yarp"] = new(Upstream.AddProxy, static (app, _) => app.MapReverseProxy()),
        ["fortunes"] = new(Fortunes.AddServices, static (app, _) => app.MapRazorPages()),
    };

    /// <exception cref="FormatException">There is none of that name; the message is for the user.</exception>
    internal static MeasuredApp Get(string? name) => All[ServerArguments.Choose("app", name ?? "minimal", [.. All.Keys])];
}
