using OpenTelemetry.Metrics;

var commandLine = new CommandLine("Observability", Option.Urls, Option.Environment, Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
builder.WebHost.UseNetpollTransport();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddHealthChecks().AddNetpollTransport();

// Kestrel's own meters beside it, and those of ASP.NET.
builder.Services.AddOpenTelemetry().WithMetrics(static metrics => metrics
    .AddMeter("KestrelNetpoll.Transport", "Microsoft.AspNetCore.Server.Kestrel", "Microsoft.AspNetCore.Hosting")
    .AddPrometheusExporter());

WebApplication app = builder.Build();
app.MapPrometheusScrapingEndpoint();
app.MapHealthChecks("/health");
app.MapGet("/", static () => "Hello, World!\n");

// What there is to see: hand-offs, blocked workers, and a warning that names this route.
app.MapGet("/block/{milliseconds:int:range(0, 60000)}", static (int milliseconds) =>
{
    Thread.Sleep(milliseconds);
    return $"Blocked for {milliseconds} ms.\n";
});

app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"Listening on {string.Join(' ', app.Urls)}"));
app.Run();
return 0;
