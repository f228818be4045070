using KestrelNetpoll.Transport;

var commandLine = new CommandLine(
    "SystemdUnix",
    new Option("socket", "PATH", "the Unix socket to listen on, if systemd passes none ($XDG_RUNTIME_DIR/systemd-unix.sock)"),
    new Option("hand-over", "PATH", "where a new process of this program takes over from this one (nowhere)"),
    Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

// Not in /tmp: anybody could be there first.
string? folder = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
string? path = commandLine["socket"] ?? (string.IsNullOrEmpty(folder) ? null : Path.Combine(folder, "systemd-unix.sock"));
if (path is null && Environment.GetEnvironmentVariable("LISTEN_FDS") is null)
{
    Console.Error.WriteLine("--socket is needed: systemd passes none, and XDG_RUNTIME_DIR names no folder for one.");
    return 2;
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("KestrelNetpoll.Transport", LogLevel.Information);
builder.WebHost.UseNetpollTransport(options =>
{
    options.NotifySystemd = true;

    // A killed process leaves its file behind.
    options.ReplaceStaleUnixSocket = true;
    options.HandOverPath = commandLine["hand-over"];
});
builder.WebHost.ConfigureKestrel(kestrel =>
{
    // By the name that the socket unit gives it. After a reload the new process has none from systemd, but from the old one: it binds the
    // same path.
    if (!kestrel.TryListenActivatedSocket("web"))
    {
        kestrel.ListenUnixSocket(path ?? throw new InvalidOperationException("systemd passes no socket of the name 'web'."));
    }
});

WebApplication app = builder.Build();
app.MapGet("/", static (HttpContext context) => Answer(context));
app.MapGet("/slow/{seconds:int:range(0, 25)}", static async (int seconds, HttpContext context) =>
{
    // A reload in the meantime does not cut it.
    await Task.Delay(TimeSpan.FromSeconds(seconds), context.RequestAborted);
    return Answer(context);
});
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"Listening on {string.Join(' ', app.Urls)}"));
app.Run();
return 0;

static string Answer(HttpContext context)
{
    UnixPeerCredentials? peer = context.Features.Get<IUnixPeerCredentialsFeature>()?.GetPeerCredentials();
    return $"Process {Environment.ProcessId} has answered process {peer?.ProcessId} of user {peer?.UserId}.\n";
}
