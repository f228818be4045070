namespace KestrelNetpoll.Perf.Apps;

/// <summary>JSON and static files, compressed for those who ask for it.</summary>
internal static class Compressed
{
    private const int RowCount = 50;

    internal static void Map(WebApplication app)
    {
        app.UseResponseCompression();
        app.UseStaticFiles();
        Greeting[] rows = [.. Enumerable.Range(1, RowCount).Select(static i => new Greeting($"Hello, visitor {i}!"))];
        app.MapGet("/json", () => rows);
    }
}
