namespace BlockingHandlers;

/// <summary>A route that blocks its thread, as a synchronous database driver does, and one that does not.</summary>
internal static class BlockingServer
{
    internal const string Fast = "/fast";
    internal const string Block = "/block";

    internal static async Task RunAsync(string transport, string urls, bool untilInputEnds)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        builder.WebHost.UseUrls(urls.Split(';'));
        if (transport == "netpoll")
        {
            builder.WebHost.UseNetpollTransport();
        }

        await using WebApplication app = builder.Build();
        app.MapGet(Fast, static () => "Here.\n");
        app.MapGet(Block, static () =>
        {
            Thread.Sleep(100);
            return "It took a while.\n";
        });

        await app.StartAsync();
        Console.WriteLine(app.DescribeTransport());
        if (untilInputEnds)
        {
            // On a thread of its own: those of the pool may all be blocked.
            var watch = new Thread(EndWithInput) { IsBackground = true };
            watch.Start();
        }

        await app.WaitForShutdownAsync();
    }

    private static void EndWithInput()
    {
        Console.In.ReadToEnd();
        Environment.Exit(0);
    }
}
