using System.Net;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.StatePage;

/// <summary>Where the page is, who may see it, and what the browser is told of it.</summary>
[OneMode]
public sealed partial class StateEndpointTests
{
    // Whatever makes markup, or code, of a text.
    private static readonly string[] Dangerous =
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc", "javascript:", "setAttribute(\"on"];

    [Fact]
    public async Task Nothing_is_there_unless_it_is_mapped()
    {
        await using StateServer server = await StateServer.StartAsync(static setup =>
        {
            setup.Pipeline = null;
            setup.App = static context =>
            {
                context.Response.StatusCode = 404;
                return Task.CompletedTask;
            };
        });

        foreach (string below in new[] { "", "/state" })
        {
            using HttpResponseMessage response = await server.SendAsync(below);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task Authorization_holds_for_the_page_and_for_the_report()
    {
        await using StateServer server = await StateServer.StartAsync(
            static setup =>
            {
                Action<WebApplication>? mapPage = setup.Pipeline;
                setup.Services = static services => services.AddRouting().AddAuthorization()
                    .AddAuthentication("test").AddScheme<AuthenticationSchemeOptions, ByHeader>("test", static _ => { });
                setup.Pipeline = app =>
                {
                    app.UseRouting();
                    app.UseAuthentication();
                    app.UseAuthorization();
                    mapPage!(app);
                };
            },
            conventions: static mapped => mapped.RequireAuthorization());

        foreach (string below in new[] { "", "/state" })
        {
            using HttpResponseMessage refused = await server.SendAsync(below);
            using HttpResponseMessage allowed = await server.SendAsync(below, ("X-User", "operator"));
            Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.OK), (refused.StatusCode, allowed.StatusCode));
        }
    }

    [Fact]
    public async Task The_page_and_the_report_are_for_the_host_that_was_asked_for()
    {
        await using StateServer server = await StateServer.StartAsync(conventions: static mapped => mapped.RequireHost("operators"));

        foreach (string below in new[] { "", "/state" })
        {
            using HttpResponseMessage other = await server.SendAsync(below);
            using HttpResponseMessage right = await server.SendAsync(below, ("Host", "operators"));
            Assert.Equal("Hello, World!", await other.Content.ReadAsStringAsync());
            Assert.NotEqual("Hello, World!", await right.Content.ReadAsStringAsync());
        }
    }

    /// <summary>As docs/operate/page.md says how.</summary>
    [Fact]
    public async Task A_port_of_its_own_holds_for_every_path_that_leads_to_the_page()
    {
        int port = 0;
        await using StateServer server = await StateServer.StartAsync(
            static setup =>
            {
                Action<WebApplication>? mapPage = setup.Pipeline;
                setup.Kestrel = static kestrel => kestrel.Listen(IPAddress.Loopback, 0);
                setup.Pipeline = app =>
                {
                    app.UsePathBase("/base");
                    mapPage!(app);
                };
            },
            conventions: mapped => mapped.Add(endpoint =>
            {
                RequestDelegate next = endpoint.RequestDelegate!;
                endpoint.RequestDelegate = context =>
                {
                    if (context.Connection.LocalPort == port)
                    {
                        return next(context);
                    }

                    context.Response.StatusCode = StatusCodes.Status404NotFound;
                    return Task.CompletedTask;
                };
            }));
        var own = new Uri(server.Server.Addresses.Last());
        port = own.Port;
        using var client = new HttpClient();

        foreach (string path in new[] { "/netpoll", "/netpoll/state", "/NETPOLL/state", "/base/netpoll", "/base/netpoll/state" })
        {
            using HttpResponseMessage refused = await client.GetAsync(new Uri($"http://{server.Server.EndPoint}{path}")).InTime();
            using HttpResponseMessage allowed = await client.GetAsync(new Uri(own, path)).InTime();
            Assert.Equal((path, HttpStatusCode.NotFound, HttpStatusCode.OK), (path, refused.StatusCode, allowed.StatusCode));
        }
    }

    /// <summary>It does not look at what the response says of caches.</summary>
    [Fact]
    public async Task The_output_cache_of_the_server_keeps_neither_and_its_metrics_measure_neither()
    {
        int calls = 0;
        await using StateServer server = await StateServer.StartAsync(setup =>
        {
            Action<WebApplication>? mapPage = setup.Pipeline;
            setup.App = context => context.Response.WriteAsync($"{Interlocked.Increment(ref calls)}");
            setup.Services = static services => services.AddRouting()
                .AddOutputCache(static options => options.AddBasePolicy(static policy => policy.Cache()));
            setup.Pipeline = app =>
            {
                app.UseRouting();
                app.UseOutputCache();
                mapPage!(app);
            };
        });

        double clock = (await server.LookAsync()).GetProperty("clock").GetDouble();
        Assert.True((await server.LookAsync()).GetProperty("clock").GetDouble() > clock);

        // Anything else it keeps.
        (await server.SendAsync("/other")).Dispose();
        (await server.SendAsync("/other")).Dispose();
        Assert.Equal(1, calls);

        IEnumerable<Endpoint> endpoints = server.Server.Services.GetServices<EndpointDataSource>().SelectMany(static source => source.Endpoints);
        Assert.All(endpoints, static endpoint => Assert.NotNull(endpoint.Metadata.GetMetadata<IDisableHttpMetricsMetadata>()));
        Assert.Equal(2, endpoints.Count());
    }

    /// <summary>So it needs nothing from elsewhere, and nothing that found its way into it would run.</summary>
    [Fact]
    public async Task The_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else()
    {
        await using StateServer server = await StateServer.StartAsync();
        using HttpResponseMessage response = await server.SendAsync();
        string page = await response.Content.ReadAsStringAsync();
        string policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));

        string[] rules = policy.Split("; ");
        Assert.Contains("default-src 'none'", rules);
        Assert.Contains($"script-src '{HashOf(Script().Match(page))}'", rules);
        Assert.Contains($"style-src '{HashOf(Style().Match(page))}'", rules);
        Assert.Single(Script().Matches(page));
        Assert.Single(Style().Matches(page));
        Assert.DoesNotMatch("""(src|href)="(?!data:,)""", page);
        Assert.DoesNotMatch("""https?://(?!www\.w3\.org/2000/svg)""", page);
        Assert.Equal("text/html; charset=utf-8", response.Content.Headers.ContentType?.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/state")]
    [InlineData("/state?sort=nothing")]
    public async Task Nobody_keeps_it_or_takes_it_for_something_else(string below)
    {
        await using StateServer server = await StateServer.StartAsync();
        using HttpResponseMessage response = await server.SendAsync(below);

        Assert.True(response.Headers.CacheControl?.NoStore);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Contains("frame-ancestors 'none'", Assert.Single(response.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.Equal(below.Contains('?') ? HttpStatusCode.BadRequest : HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task The_script_makes_no_markup_of_what_it_is_told()
    {
        await using StateServer server = await StateServer.StartAsync();
        using HttpResponseMessage response = await server.SendAsync();
        string script = Script().Match(await response.Content.ReadAsStringAsync()).Groups[1].Value;

        Assert.Contains("document.createElement(tag)", script, StringComparison.Ordinal);
        Assert.All(Dangerous, word => Assert.DoesNotContain(word, script, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("?connections=1001", "connections is a number from 0 to 1000.")]
    [InlineData("?connections=-1", "connections is a number from 0 to 1000.")]
    [InlineData("?connections=many", "connections is a number from 0 to 1000.")]
    [InlineData("?sort=size", "sort is one of age, deadline, endPoint, id, peer, ")]
    [InlineData("?filter=LONG", "filter is a text of at most 200 characters.")]
    public async Task A_mistake_in_the_query_is_told(string query, string words)
    {
        await using StateServer server = await StateServer.StartAsync();
        using HttpResponseMessage response = await server.SendAsync(
            $"/state{query.Replace("LONG", new string('x', 201), StringComparison.Ordinal)}");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("text/plain; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.StartsWith(words, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static string HashOf(Match match) =>
        $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(match.Groups[1].Value)))}";

    [GeneratedRegex("<script>(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Script();

    [GeneratedRegex("<style>(.*?)</style>", RegexOptions.Singleline)]
    private static partial Regex Style();

    /// <summary>Whoever gives a name is that.</summary>
    private sealed class ByHeader(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            string? name = Request.Headers["X-User"];
            return Task.FromResult(name is null
                ? AuthenticateResult.NoResult()
                : AuthenticateResult.Success(new AuthenticationTicket(
                    new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], Scheme.Name)), Scheme.Name)));
        }
    }
}
