using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Sections <c>Kestrel:Endpoints:NAME:Netpoll</c>.</summary>
[OneMode]
public class EndpointConfigurationTests
{
    [Theory]
    [InlineData("http://127.0.0.2:5001", "127.0.0.2:5001", true)]
    [InlineData("http://127.0.0.2:5001", "127.0.0.3:5001", false)]
    [InlineData("http://127.0.0.2:5001", "127.0.0.2:5002", false)]
    [InlineData("https://[::1]:5001", "[::1]:5001", true)]
    [InlineData("http://LocalHost:5001", "127.0.0.1:5001", true)]
    [InlineData("http://localhost:5001", "[::1]:5001", true)]
    [InlineData("http://localhost:5001", "127.0.0.2:5001", false)]
    [InlineData("http://api.localhost:5001", "127.0.0.1:5001", true)]
    [InlineData("http://*:5001", "[::]:5001", true)]
    [InlineData("https://+:5001", "0.0.0.0:5001", true)]
    [InlineData("http://example.org:5001", "[::]:5001", true)]
    [InlineData("http://example.org:5001", "127.0.0.1:5001", false)]
    [InlineData("http://0.0.0.0:5001", "[::]:5001", false)]
    [InlineData("http://127.0.0.1", "127.0.0.1:80", true)]
    [InlineData("https://127.0.0.1", "127.0.0.1:443", true)]
    [InlineData("http://unix:/run/x.sock", "/run/x.sock", true)]
    [InlineData("http://unix:/run/x.sock", "/run/y.sock", false)]
    [InlineData("http://pipe:/x", "127.0.0.1:80", false)]
    [InlineData("nothing", "127.0.0.1:80", false)]
    [InlineData(null, "127.0.0.1:80", false)]
    public void A_section_is_found_by_the_address_of_its_endpoint(string? url, string address, bool found)
    {
        var table = new EndpointTable(ConfigurationOf(("Url", url), ("Netpoll:Backlog", "17")));
        var shared = new NetpollTransportOptions { Backlog = 4, FastOpen = 8 };
        EndPoint endPoint = address[0] == '/' ? new UnixDomainSocketEndPoint(address) : IPEndPoint.Parse(address);

        NetpollTransportOptions options = table.OptionsOf(endPoint, shared);

        Assert.Equal(found, !ReferenceEquals(options, shared));
        Assert.Equal((found ? 17 : 4, 8), (options.Backlog, options.FastOpen));
        Assert.Equal(4, shared.Backlog);
    }

    [Fact]
    public async Task Endpoints_have_their_sections_and_code_wins_over_them()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup =>
        {
            setup.Netpoll = static netpoll => netpoll.Backlog = 11;
            setup.App = ConfiguredEndpoints.AnswerTransport;
            ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll:Backlog", "7"), ("Netpoll:ReusePort", "true"));
            ConfiguredEndpoints.Add(setup, "B", "127.0.0.3", ("Netpoll", "false"));
            ConfiguredEndpoints.Add(setup, "C", "127.0.0.4", ("Netpoll", "true"));
            ConfiguredEndpoints.Add(setup, "D", "127.0.0.5");
            ConfiguredEndpoints.Add(setup, "E", "127.0.0.6", ("Netpoll", "false"), ("Netpoll:Backlog", "8"));
            ConfiguredEndpoints.Add(setup, "F", "127.0.0.7", ("Netpoll:Backlog", "9"), ("Netpoll:NoDelay", "false"));
            setup.Kestrel = static options => options.ConfigurationLoader!
                .Endpoint("E", static endpoint => endpoint.ListenOptions.UseNetpoll())
                .Endpoint("F", static endpoint => endpoint.ListenOptions.UseNetpoll(static netpoll => netpoll.Backlog += netpoll.NoDelay ? 0 : 1));
        });

        Assert.Equal(
            ["127.0.0.2 netpoll 7", "127.0.0.3 sockets", "127.0.0.4 netpoll 11", "127.0.0.5 netpoll 11", "127.0.0.6 netpoll 8", "127.0.0.7 netpoll 10"],
            await ConfiguredEndpoints.DescribeAsync(server));
    }

    [Fact]
    public void What_cannot_be_meant_is_named_all_at_once()
    {
        string[] keys = [.. typeof(NetpollEndpointOptions).GetProperties().Select(static property => property.Name)
            .Where(static name => name is not ("CreateBoundListenSocket" or "OnAccept"))
            .Order(StringComparer.Ordinal)];

        Assert.Equal(
            [
                "'Kestrel:Netpoll:Backlog' is 'lots'; it must be a whole number.",
                "The configuration has 'Kestrel:EndpointDefaults:Netpoll', which nothing reads. "
                    + "What all endpoints have belongs into 'Kestrel:Netpoll'.",
                "The configuration has 'Kestrel:Endpoints:A:Netpol', which nothing reads. Did you mean 'Kestrel:Endpoints:A:Netpoll'?",
                "'Kestrel:Endpoints:A:Netpoll' is 'off'; it must be a section of options, such as "
                    + "'Kestrel:Endpoints:A:Netpoll:Backlog', or false, for Kestrel's Sockets transport.",
                "'Kestrel:Endpoints:A:Netpoll:Backlock' is no option of the netpoll transport. Did you mean 'Backlog'? "
                    + $"The options of an endpoint are {string.Join(", ", keys)}.",
                "'Kestrel:Endpoints:A:Netpoll:DeferAccept' is '5'; it must be a time as hours:minutes:seconds; 5 seconds are 00:00:05.",
                "'Kestrel:Endpoints:A:Netpoll:NoDelay' is a section; it must be a value.",
                "'Kestrel:Endpoints:A:Netpoll:OnAccept' is a function, which only code can set: UseNetpoll(options => options.OnAccept = ...).",
                "'Kestrel:Endpoints:A:Netpoll:workercount' is an option of the whole transport, which no endpoint has for itself: "
                    + "'Kestrel:Netpoll:WorkerCount'.",
            ],
            FailuresOf(
                ("Kestrel:Netpoll:Backlog", "lots"),
                ("Kestrel:EndpointDefaults:Netpoll:Backlog", "5"),
                ("Kestrel:Endpoints:A:Url", "http://127.0.0.1:5001"),
                ("Kestrel:Endpoints:A:Protocols", "Http1"),
                ("Kestrel:Endpoints:A:Netpol:Backlog", "5"),
                ("Kestrel:Endpoints:A:Netpoll", "off"),
                ("Kestrel:Endpoints:A:Netpoll:Backlock", "5"),
                ("Kestrel:Endpoints:A:Netpoll:DeferAccept", "5"),
                ("Kestrel:Endpoints:A:Netpoll:NoDelay:Always", "true"),
                ("Kestrel:Endpoints:A:Netpoll:OnAccept", "x"),
                ("Kestrel:Endpoints:A:Netpoll:workercount", "5")));
    }

    [Fact]
    public void What_is_out_of_range_is_named_with_its_place_and_once() => Assert.Equal(
        [
            "NetpollTransportOptions.FastOpen is 0; it must be 1 or more.",
            "'Kestrel:Endpoints:A:Netpoll': Backlog is 0; it must be 1 or more.",
            "'Kestrel:Endpoints:B:Netpoll': TypeOfService is 300; it must be between 0 and 255.",
        ],
        FailuresOf(
            ("Kestrel:Netpoll:FastOpen", "0"),
            ("Kestrel:Endpoints:A:Url", "http://127.0.0.1:5001"),
            ("Kestrel:Endpoints:A:Netpoll:Backlog", "0"),
            ("Kestrel:Endpoints:B:Url", "http://127.0.0.1:5002"),
            ("Kestrel:Endpoints:B:Netpoll:TypeOfService", "300")));

    [Theory]
    [InlineData("Netpoll:Backlog", "7", "Netpoll:backlog", "7", false)]
    [InlineData("Netpoll", "false", "Netpoll", "false", false)]
    [InlineData("Netpoll:Backlog", "7", "Netpoll:Backlog", "8", true)]
    [InlineData("Netpoll:Backlog", "7", "Protocols", "Http1", true)]
    [InlineData("Protocols", "Http1", "Netpoll", "false", true)]
    [InlineData("Protocols", "Http1", "Protocols", "Http2", false)]
    public void Endpoints_that_cannot_be_told_apart_must_agree(string firstKey, string first, string secondKey, string second, bool differ)
    {
        (string, string?)[] configuration =
        [
            ("Kestrel:Endpoints:A:Url", "http://127.0.0.1:0"),
            ($"Kestrel:Endpoints:A:{firstKey}", first),
            ("Kestrel:Endpoints:B:Url", "http://127.0.0.1:0"),
            ($"Kestrel:Endpoints:B:{secondKey}", second),
        ];

        if (differ)
        {
            Assert.Equal(
                [
                    "'Kestrel:Endpoints:A' and 'Kestrel:Endpoints:B' can have the same address, by which 'Netpoll' sections are "
                        + "found; theirs differ. Give the endpoints the same options, or set them in code: UseNetpoll(options => ...).",
                ],
                FailuresOf(configuration));
        }
        else
        {
            Assert.NotNull(Configure(configuration));
        }
    }

    [Theory]
    [InlineData("http://[::]:0", "http://*:0", true)]
    [InlineData("http://+:0", "http://0.0.0.0:0", true)]
    [InlineData("http://localhost:5001", "http://127.0.0.1:5001", true)]
    [InlineData("http://[::1]:5001", "http://api.localhost:5001", true)]
    [InlineData("http://unix:/run/x.sock", "http://unix:/run/x.sock", true)]
    [InlineData("http://[::]:0", "http://0.0.0.0:0", false)]
    [InlineData("http://127.0.0.1:0", "http://*:0", false)]
    [InlineData("http://localhost:5001", "http://localhost:5002", false)]
    [InlineData("nothing", "nothing", false)]
    [InlineData("http://127.0.0.1:70000", "http://127.0.0.1:70000", false)]
    public void Endpoints_cannot_be_told_apart_if_they_can_have_one_address(string first, string second, bool ambiguous)
    {
        (string, string?)[] configuration =
        [
            ("Kestrel:Endpoints:A:Url", first),
            ("Kestrel:Endpoints:A:Netpoll", "false"),
            ("Kestrel:Endpoints:B:Url", "http://127.0.0.9:1"),
            ("Kestrel:Endpoints:C:Url", second),
        ];

        if (ambiguous)
        {
            Assert.StartsWith(
                "'Kestrel:Endpoints:A' and 'Kestrel:Endpoints:C' can have the same address, ",
                Assert.Single(FailuresOf(configuration)),
                StringComparison.Ordinal);
        }
        else
        {
            Assert.NotNull(Configure(configuration));
        }
    }

    [Fact]
    public void A_port_that_there_is_not_is_Kestrels_matter() =>
        Assert.NotNull(Configure([("Kestrel:Endpoints:A:Url", "http://127.0.0.1:70000"), ("Kestrel:Endpoints:B:Url", "http://127.0.0.1:-1")]));

    [Fact]
    public async Task Mistakes_stop_the_host_at_start()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => TestServer.StartAsync(
            TransportKind.Netpoll, static setup => ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll:Backlog", "0"))));

        Assert.Equal(["'Kestrel:Endpoints:A:Netpoll': Backlog is 0; it must be 1 or more."], e.Failures);
    }

    private static IConfiguration ConfigurationOf(params (string Key, string? Value)[] endpoint) => new ConfigurationBuilder()
        .AddInMemoryCollection(endpoint.Select(static pair => KeyValuePair.Create($"Kestrel:Endpoints:A:{pair.Key}", pair.Value)))
        .Build();

    private static IEnumerable<string> FailuresOf(params (string Key, string? Value)[] configuration) =>
        Assert.Throws<OptionsValidationException>(() => Configure(configuration)).Failures;

    private static NetpollTransportOptions Configure((string Key, string? Value)[] configuration)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel();
        builder.Services.AddNetpollTransport();
        builder.Configuration.AddInMemoryCollection(configuration.Select(static pair => KeyValuePair.Create(pair.Key, pair.Value)));
        using ServiceProvider services = builder.Services.BuildServiceProvider();
        return services.GetRequiredService<IOptions<NetpollTransportOptions>>().Value;
    }
}
