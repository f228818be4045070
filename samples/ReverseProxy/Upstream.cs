namespace ReverseProxy;

/// <summary>A server to be behind the proxy, on a free port, on the same transport. It ends with the program.</summary>
internal static class Upstream
{
    internal static async Task<string> StartAsync(string name)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0").UseNetpollTransport();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        WebApplication app = builder.Build();
        app.MapGet("/{**rest}", (HttpContext context) =>
            $"Upstream {name}: {context.Request.Path}, for {context.Request.Headers["X-Forwarded-For"]}\n");

        // What is sent comes back while it is being sent.
        app.MapPost("/{**rest}", static (HttpContext context) => context.Request.Body.CopyToAsync(context.Response.Body));
        await app.StartAsync();
        return app.Urls.First();
    }
}
