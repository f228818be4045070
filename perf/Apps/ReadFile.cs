namespace KestrelNetpoll.Perf.Apps;

/// <summary>Reads a file as most people do, and answers with it.</summary>
internal static class ReadFile
{
    internal static void Map(WebApplication app, AppData data)
    {
        string file = data.TextFile;
        app.MapGet("/file", async (CancellationToken cancellationToken) => await File.ReadAllTextAsync(file, cancellationToken));
    }
}
