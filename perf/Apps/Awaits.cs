namespace KestrelNetpoll.Perf.Apps;

/// <summary>Awaits that really leave the thread, and then a string.</summary>
internal static class Awaits
{
    internal static void Map(WebApplication app)
    {
        app.MapGet("/one", static async () =>
        {
            await Task.Yield();
            return "Hello, World!";
        });
        app.MapGet("/three", static async () =>
        {
            await Task.Yield();
            await Task.Yield();
            await Task.Yield();
            return "Hello, World!";
        });
    }
}
