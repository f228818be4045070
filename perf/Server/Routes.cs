using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// The whole application: one switch on the path, because endpoint routing would be a good part of what a short request costs.
/// Those that block do it on purpose, on the thread that has called them.
/// </summary>
internal sealed class Routes(ReportRoutes reports, RequestDelegate webSocket) : IDisposable
{
    private const int BlockSize = 64 * 1024;

    private static readonly byte[] Hello = "Hello, World!"u8.ToArray();
    private static readonly byte[] Block = new byte[BlockSize];
    private static readonly Greeting Greeting = new("Hello, World!");
    private static readonly int GreetingLength = JsonSerializer.SerializeToUtf8Bytes(Greeting, ReportContext.Default.Greeting).Length;

    private readonly DelayedPipes _pipes = new(TimeSpan.FromMilliseconds(100));
    private readonly SpinWork _spin = new();

    public Task HandleAsync(HttpContext context)
    {
        string path = context.Request.Path.Value ?? "";
        switch (path)
        {
            case "/plaintext":
                return WritePlaintextAsync(context);
            case "/json":
                return WriteJsonAsync(context);
            case "/awaits":
                return AwaitThriceAsync(context);
            case "/fifo":
                _pipes.WaitForByte();
                return WritePlaintextAsync(context);
            case "/upload":
                return ReadBodyAsync(context);
            case "/websocket":
                return webSocket(context);
            default:
                return reports.Find(path) is { } report ? report(context) : HandleNumberAsync(context, path);
        }
    }

    public void Dispose() => _pipes.Dispose();

    private Task HandleNumberAsync(HttpContext context, string path)
    {
        int slash = path.LastIndexOf('/');
        if (slash < 0 || !int.TryParse(path.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        switch (path.AsSpan(0, slash))
        {
            case "/sleep":
                Thread.Sleep(number);
                return WritePlaintextAsync(context);
            case "/wait":
                Task.Delay(number).Wait();
                return WritePlaintextAsync(context);
            case "/spin":
                _spin.Run(number);
                return WritePlaintextAsync(context);
            case "/delayblock":
                return BlockAfterDelayAsync(context, number);
            case "/download":
                return WriteBytesAsync(context, number);
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
        }
    }

    private static Task WritePlaintextAsync(HttpContext context)
    {
        // With its length known, the response is one write.
        context.Response.ContentType = "text/plain";
        context.Response.ContentLength = Hello.Length;
        return context.Response.Body.WriteAsync(Hello, 0, Hello.Length);
    }

    private static Task WriteJsonAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = GreetingLength;
        return JsonSerializer.SerializeAsync(context.Response.BodyWriter, Greeting, ReportContext.Default.Greeting);
    }

    // Three awaits that really leave the thread, none of them for the connection.
    private static async Task AwaitThriceAsync(HttpContext context)
    {
        await Task.Run(static () => { });
        await Task.Run(static () => { });
        await Task.Run(static () => { });
        await WritePlaintextAsync(context);
    }

    // What blocks comes after an await: it runs wherever the await came back, which under HTTP/2 is also where other streams are served.
    private static async Task BlockAfterDelayAsync(HttpContext context, int milliseconds)
    {
        await Task.Delay(1);
        Thread.Sleep(milliseconds);
        await WritePlaintextAsync(context);
    }

    private static async Task WriteBytesAsync(HttpContext context, long length)
    {
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = length;
        for (long left = length; left > 0; left -= BlockSize)
        {
            await context.Response.BodyWriter.WriteAsync(Block.AsMemory(0, (int)Math.Min(left, BlockSize)), context.RequestAborted);
        }
    }

    private static async Task ReadBodyAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize = null;
        PipeReader body = context.Request.BodyReader;
        ReadResult result;
        do
        {
            result = await body.ReadAsync(context.RequestAborted);
            body.AdvanceTo(result.Buffer.End);
        }
        while (!result.IsCompleted);

        await WritePlaintextAsync(context);
    }
}
