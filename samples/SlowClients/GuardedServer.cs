using System.Net;
using KestrelNetpoll.Transport;

namespace SlowClients;

/// <summary>One endpoint with limits, and one without.</summary>
internal static class GuardedServer
{
    internal const string Large = "/large";
    internal const string Counters = "/counters";

    private const int ChunkSize = 64 * 1024;
    private const int Chunks = 1024;

    internal static async Task RunAsync(int port, TimeSpan limit)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseNetpollTransport();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port, endpoint => endpoint.UseNetpoll(options =>
            {
                options.FirstByteTimeout = limit;
                options.ReadIdleTimeout = limit;
                options.WriteStallTimeout = limit;
                options.MaxConnectionAge = 2 * limit;
            }));
            kestrel.Listen(IPAddress.Loopback, port == 0 ? 0 : port + 1);
        });

        await using WebApplication app = builder.Build();
        app.MapGet("/", static () => "Hello, World!\n");
        app.MapGet(Large, WriteAsync);
        app.MapGet(Counters, static (INetpollTransportStatistics netpoll) =>
        {
            NetpollTransportStatistics counters = netpoll.GetStatistics();
            return $"""
                FirstByteTimeouts         {counters.FirstByteTimeouts}
                ReadIdleTimeouts          {counters.ReadIdleTimeouts}
                WriteStallTimeouts        {counters.WriteStallTimeouts}
                MaxConnectionAgesReached  {counters.MaxConnectionAgesReached}

                """;
        });

        await app.StartAsync();
        Console.WriteLine($"With limits, {limit.TotalSeconds} s: {app.Urls.First()}");
        Console.WriteLine($"Without: {app.Urls.Last()}");
        await app.WaitForShutdownAsync();
    }

    private static async Task WriteAsync(HttpContext context)
    {
        byte[] chunk = new byte[ChunkSize];
        context.Response.ContentLength = (long)ChunkSize * Chunks;
        for (int i = 0; i < Chunks && !context.RequestAborted.IsCancellationRequested; i++)
        {
            await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
        }
    }
}
