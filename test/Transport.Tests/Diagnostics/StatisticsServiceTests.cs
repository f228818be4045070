using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ApplicationParts;
using Microsoft.AspNetCore.Mvc.Controllers;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>The counters can be injected wherever services can.</summary>
[OneMode]
public sealed class StatisticsServiceTests
{
    [Theory]
    [InlineData("/minimal")]
    [InlineData("/minimal/factory")]
    [InlineData("/minimal/attribute")]
    [InlineData("/minimal/optional")]
    [InlineData("/mvc/constructor")]
    [InlineData("/mvc/parameter")]
    [InlineData("/mvc/factory")]
    [InlineData("/component")]
    public async Task They_can_be_injected(string path)
    {
        await using WebApplication app = await StartAsync(netpoll: true);

        Assert.Equal("1 accepted", await GetAsync(app, path));
    }

    /// <summary>One handler that cannot be built makes every route of an application answer 500.</summary>
    [Fact]
    public async Task Where_the_transport_is_not_used_other_routes_answer_all_the_same()
    {
        await using WebApplication app = await StartAsync(netpoll: false);

        Assert.Equal("none", await GetAsync(app, "/minimal/optional"));
    }

    private static async Task<WebApplication> StartAsync(bool netpoll)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        if (netpoll)
        {
            builder.WebHost.UseNetpollTransport();
        }

        builder.Services.AddRouting();
        builder.Services.AddRazorComponents();
        builder.Services.AddControllers().ConfigureApplicationPartManager(static parts =>
        {
            parts.ApplicationParts.Clear();
            parts.ApplicationParts.Add(new AssemblyPart(typeof(StatisticsServiceTests).Assembly));
            parts.FeatureProviders.Add(new OnlyController());
        });
        WebApplication app = builder.Build();
        app.UseRouting();
        app.MapGet("/minimal/optional", static (HttpContext context, NetpollTransportFactory? factory) =>
            factory is null ? "none" : Describe(factory));
        if (netpoll)
        {
            app.MapGet("/minimal", static (INetpollTransportStatistics statistics) => Describe(statistics));
            app.MapGet("/minimal/factory", static (NetpollTransportFactory factory) => Describe(factory));
            app.MapGet("/minimal/attribute", static ([FromServices] INetpollTransportStatistics statistics) => Describe(statistics));
            app.MapGet("/component", static () => new RazorComponentResult<CountersComponent>());
            app.MapControllers();
        }

        await app.StartAsync().InTime();
        return app;
    }

    private static async Task<string> GetAsync(WebApplication app, string path)
    {
        using var client = new HttpClient();
        return await client.GetStringAsync(new Uri(new Uri(app.Urls.Single()), path)).InTime();
    }

    private static string Describe(INetpollTransportStatistics statistics) => $"{statistics.GetStatistics().AcceptedConnections} accepted";

    private sealed class OnlyController : ControllerFeatureProvider
    {
        protected override bool IsController(System.Reflection.TypeInfo typeInfo) => typeInfo == typeof(CountersController);
    }

    [ApiController]
    [Microsoft.AspNetCore.Mvc.Route("mvc")]
    internal sealed class CountersController(INetpollTransportStatistics statistics) : ControllerBase
    {
        [HttpGet("constructor")]
        public string FromConstructor() => Describe(statistics);

        [HttpGet("parameter")]
        public string FromParameter([FromServices] INetpollTransportStatistics given) =>
            ReferenceEquals(given, statistics) ? Describe(given) : "another";

        [HttpGet("factory")]
        public string FromFactory([FromServices] NetpollTransportFactory factory) =>
            ReferenceEquals(factory, statistics) ? Describe(factory) : "another";
    }

    /// <summary>What <c>@inject</c> in a component is compiled to.</summary>
    private sealed class CountersComponent : ComponentBase
    {
        [Inject]
        public required INetpollTransportStatistics Statistics { get; set; }

        protected override void BuildRenderTree(RenderTreeBuilder builder) => builder.AddContent(0, Describe(Statistics));
    }
}
