namespace PtyShell;

/// <summary>
/// Who asks for a shell. Any page on the web may open a WebSocket to this machine: the browser only says which page it was, by the Origin.
/// </summary>
internal static class Visitor
{
    /// <summary>
    /// Whether it was this server's own page. Its name is compared with fixed ones and not with the request's Host: a foreign name can be
    /// made to lead here (DNS rebinding), and would be in both.
    /// </summary>
    internal static bool IsOurPage(HttpContext context) =>
        Uri.TryCreate(context.Request.Headers.Origin.ToString(), UriKind.Absolute, out Uri? origin)
        && origin is { Scheme: "http", Host: "127.0.0.1" or "localhost" }
        && origin.Port == context.Connection.LocalPort;
}
