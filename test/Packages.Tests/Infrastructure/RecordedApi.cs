namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>The public types as PublicAPI.Shipped.txt and PublicAPI.Unshipped.txt record them.</summary>
internal static class RecordedApi
{
    internal static async Task<IEnumerable<string>> ReadTypesAsync(string sources, string id)
    {
        string folder = Path.Combine(sources, "src", id.Split('.')[^1]);
        string[] lines =
        [
            .. await File.ReadAllLinesAsync(Path.Combine(folder, "PublicAPI.Shipped.txt")),
            .. await File.ReadAllLinesAsync(Path.Combine(folder, "PublicAPI.Unshipped.txt")),
        ];

        // A type's line is its name and nothing else; those of members have a result, or (of constants) a value.
        return lines.Where(static line => line.Length > 0 && line[0] != '#' && !line.Contains(' ', StringComparison.Ordinal));
    }
}
