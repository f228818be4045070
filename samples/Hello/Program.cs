using Hello;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Http.Features;

var commandLine = new CommandLine(
    "Hello",
    new Option("transport", "netpoll|sockets", "who serves the connections (netpoll)"),
    Option.Urls,
    Option.Environment,
    Option.Setting);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(commandLine.Configuration);
if (commandLine["transport"] != "sockets")
{
    builder.WebHost.UseNetpollTransport();
}

// A log line per request would cost more than serving it.
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.ConfigureHttpJsonOptions(static json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ReportsJson.Default));

WebApplication app = builder.Build();

// With its length known, the response is one write; a returned string would be a chunk and an end.
byte[] hello = "Hello, World!"u8.ToArray();
app.MapGet("/", (HttpContext context) =>
{
    context.Response.ContentType = "text/plain";
    context.Response.ContentLength = hello.Length;
    return context.Response.Body.WriteAsync(hello, 0, hello.Length);
});

app.MapGet("/json", static () => TypedResults.Ok(new Greeting("Hello, World!")));

app.MapPost("/upload", static async (HttpContext context) =>
{
    // Any size: the body is hashed as it comes and never held.
    context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize = null;
    (long length, string hash) = await Content.HashAsync(context.Request.BodyReader, context.RequestAborted);
    return TypedResults.Ok(new Digest(length, hash));
});

app.MapGet("/download/{size:long:min(0)}", static async (long size, HttpContext context) =>
{
    context.Response.ContentType = "application/octet-stream";
    context.Response.ContentLength = size;
    await Content.WriteAsync(context.Response.BodyWriter, size, context.RequestAborted);
});

// What a client of the route above must get. Hashing a gigabyte takes a while, so it leaves the thread that serves others.
app.MapGet("/download/{size:long:min(0)}/sha256", static async (long size, HttpContext context) =>
    TypedResults.Ok(new Digest(size, await Task.Run(() => Content.Hash(size, context.RequestAborted)))));

// What a synchronous database driver or a lock would do. It holds a thread, and nobody else up.
app.MapGet("/sleep/{milliseconds:int:range(0, 60000)}", static (int milliseconds) =>
{
    Thread.Sleep(milliseconds);
    return TypedResults.Text($"Slept for {milliseconds} ms.");
});

app.MapGet("/transport", static (HttpContext context) =>
    context.Features.Get<INetpollTransportFeature>() is { } netpoll
        ? TypedResults.Ok(new TransportReport(netpoll.Transport, netpoll.Backend, netpoll.WorkerCount, netpoll.Statistics))
        : TypedResults.Ok(new TransportReport("sockets", null, null, null)));

app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine(app.DescribeTransport()));

app.Run();
return 0;
