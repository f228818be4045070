using System.Net;
using System.Net.WebSockets;
using System.Runtime.Versioning;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using PtyShell;

[assembly: SupportedOSPlatform("linux")]

var commandLine = new CommandLine(
    "PtyShell",
    new Option("port", "N", "where to listen, on 127.0.0.1 only (5000)") { IsNumber = true, Maximum = 65_535 },
    new Option("shell", "PROGRAM", "what runs in the terminal ($SHELL, or /bin/sh)"));
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

string program = commandLine["shell"] ?? Environment.GetEnvironmentVariable("SHELL") ?? "/bin/sh";
int port = (int)commandLine.Number("port", 5000);
var token = new Token();

// Nothing else says where to listen: neither the environment nor a file.
WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().UseNetpollTransport().ConfigureKestrel(
    kestrel => kestrel.Listen(IPAddress.Loopback, port, static endpoint => endpoint.Protocols = HttpProtocols.Http1));
builder.Logging.AddSimpleConsole().SetMinimumLevel(LogLevel.Warning);
builder.Services.AddRoutingCore();

WebApplication app = builder.Build();
app.UseWebSockets();

app.MapGet("/", (HttpContext context) =>
{
    if (!token.IsIn(context.Request))
    {
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return context.Response.WriteAsync("The address of this page has a token in it, and was printed when the program started.\n");
    }

    context.Response.ContentType = "text/html; charset=utf-8";
    context.Response.Headers.ContentSecurityPolicy = TerminalPage.Policy;
    return context.Response.Body.WriteAsync(TerminalPage.Bytes).AsTask();
});

app.MapGet("/shell", async (HttpContext context) =>
{
    if (!token.IsIn(context.Request) || !Visitor.IsOurPage(context))
    {
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return;
    }

    if (!context.WebSockets.IsWebSocketRequest)
    {
        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        return;
    }

    using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
    await using Shell shell = Shell.Start(program);
    await ShellSession.RunAsync(socket, shell, app.Lifetime.ApplicationStopping, context.RequestAborted);
});

app.Lifetime.ApplicationStarted.Register(
    () => Console.WriteLine($"A shell for whoever knows this address: {app.Urls.Single()}/{token.Query}"));
await app.RunAsync();
return 0;
