namespace KestrelNetpoll.Perf.Apps;

/// <summary>An answer that takes its time to make, and is kept.</summary>
internal static class OutputCaching
{
    private const int MillisecondsToMake = 20;

    internal static void Map(WebApplication app)
    {
        app.UseOutputCache();
        app.MapGet("/cached", static async () =>
        {
            await Task.Delay(MillisecondsToMake);
            return new Greeting("Hello, World!");
        }).CacheOutput(static policy => policy.Expire(TimeSpan.FromHours(1)));
    }
}
