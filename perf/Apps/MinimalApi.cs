using Microsoft.AspNetCore.Http.HttpResults;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>A minimal API: the README's own line, objects in and out, nothing that was tuned.</summary>
internal static class MinimalApi
{
    internal static void Map(WebApplication app)
    {
        app.MapGet("/", static () => "Hello, World!");
        app.MapGet("/json", static () => new Greeting("Hello, World!"));
        app.MapGet("/typed", static Ok<Greeting> () => TypedResults.Ok(new Greeting("Hello, World!")));
        app.MapPost("/echo", static (Greeting greeting) => greeting);
    }
}

/// <summary>A small object as an API answers it.</summary>
internal sealed record Greeting(string Message);
