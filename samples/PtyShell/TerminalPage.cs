namespace PtyShell;

/// <summary>The page, which needs nothing else.</summary>
internal static class TerminalPage
{
    /// <summary>It loads nothing, speaks to this server only, and is in nobody's frame.</summary>
    internal const string Policy =
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";

    internal static byte[] Bytes { get; } = Read();

    private static byte[] Read()
    {
        using Stream page = typeof(TerminalPage).Assembly.GetManifestResourceStream("Terminal.html")!;
        byte[] bytes = new byte[page.Length];
        page.ReadExactly(bytes);
        return bytes;
    }
}
