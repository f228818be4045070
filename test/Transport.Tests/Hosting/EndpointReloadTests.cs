using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Sections of endpoints that change while the server runs.</summary>
[OneMode]
public class EndpointReloadTests
{
    [Fact]
    public async Task A_section_that_changes_while_the_server_runs_is_applied_to_the_endpoint_that_is_bound_anew()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup =>
        {
            setup.App = ConfiguredEndpoints.AnswerTransport;
            ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll:Backlog", "7"));
        });
        Assert.Equal(["127.0.0.2 netpoll 7"], await ConfiguredEndpoints.DescribeAsync(server));

        await ChangeAsync(server, "Netpoll:Backlog", "8");
        Assert.Equal(["127.0.0.2 netpoll 8"], await ConfiguredEndpoints.DescribeAsync(server));

        await ChangeAsync(server, "Netpoll", "false");
        Assert.Equal(["127.0.0.2 sockets"], await ConfiguredEndpoints.DescribeAsync(server));

        await ChangeAsync(server, "Netpoll", "");
        Assert.Equal(["127.0.0.2 netpoll 8"], await ConfiguredEndpoints.DescribeAsync(server));
    }

    /// <summary>Served by a transport, or with options, that nobody wants would be worse than not at all.</summary>
    [Theory]
    [InlineData("Netpoll:Backlog", "many", "'Kestrel:Endpoints:A:Netpoll:Backlog' is 'many'; it must be ", true)]
    [InlineData("Netpoll", "off", "'Kestrel:Endpoints:A:Netpoll' is 'off'; it must be ", true)]
    [InlineData("Netpol:Backlog", "8", "The configuration has 'Kestrel:Endpoints:A:Netpol', which nothing reads. ", false)]
    public async Task A_mistake_leaves_the_endpoint_unbound_until_it_is_mended(string key, string value, string mistake, bool canBeMended)
    {
        foreach (string transport in (string[])["true", "false"])
        {
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            {
                setup.App = ConfiguredEndpoints.AnswerTransport;
                ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll", transport), ("Netpoll:Backlog", "7"));
            });
            string[] before = await ConfiguredEndpoints.DescribeAsync(server);

            await ChangeAsync(server, key, value, isBound: false);

            Assert.StartsWith(mistake, Assert.Single(FailuresOf(server)), StringComparison.Ordinal);

            // A key cannot be taken out of this configuration.
            if (canBeMended)
            {
                await ChangeAsync(server, key, key == "Netpoll" ? transport : "7");
                Assert.Equal(before, await ConfiguredEndpoints.DescribeAsync(server));
            }
        }
    }

    [Fact]
    public async Task A_value_out_of_range_leaves_the_endpoint_unbound()
    {
        await using TestServer server = await TestServer.StartAsync(
            TransportKind.Netpoll, static setup => ConfiguredEndpoints.Add(setup, "A", "127.0.0.2"));

        await ChangeAsync(server, "Netpoll:Backlog", "0", isBound: false);

        Assert.Equal(["Endpoint 127.0.0.2:0: NetpollEndpointOptions.Backlog is 0; it must be 1 or more."], FailuresOf(server));
    }

    [Theory]
    [InlineData("true", "false")]
    [InlineData("false", "true")]
    public async Task An_endpoint_that_begins_to_differ_from_another_of_its_address_is_left_unbound(string before, string after)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = ConfiguredEndpoints.AnswerTransport;
            ConfiguredEndpoints.Add(setup, "A", "127.0.0.2", ("Netpoll", before));
            ConfiguredEndpoints.Add(setup, "B", "127.0.0.2", ("Netpoll", before));
        });
        string one = (await ConfiguredEndpoints.DescribeAsync(server))[0];

        await ChangeAsync(server, "Netpoll", after, isBound: false, others: 1);

        Assert.StartsWith(
            "'Kestrel:Endpoints:A' and 'Kestrel:Endpoints:B' can have the same address, ",
            Assert.Single(FailuresOf(server)),
            StringComparison.Ordinal);
        Assert.Equal([one], await ConfiguredEndpoints.DescribeAsync(server));
    }

    private static IEnumerable<string> FailuresOf(TestServer server) => Assert.IsType<OptionsValidationException>(
        Assert.Single(server.Logs.Entries, static entry => entry.Level == LogLevel.Critical).Exception).Failures;

    // Of A. Kestrel has done with it when it says so for the last time.
    private static async Task ChangeAsync(TestServer server, string key, string? value, bool isBound = true, int others = 0)
    {
        string[] before = ConfiguredEndpoints.AddressesOf(server);
        server.Services.GetRequiredService<IConfiguration>()[$"Kestrel:Endpoints:A:{key}"] = value;
        ((IConfigurationRoot)server.Services.GetRequiredService<IConfiguration>()).Reload();
        await Patience.UntilAsync(
            () => ConfiguredEndpoints.AddressesOf(server) is var now && now.Length == others + (isBound ? 1 : 0) && !now.SequenceEqual(before)
                && (isBound || server.Logs.Entries.Any(static entry => entry.Level == LogLevel.Critical)),
            "the endpoint has changed",
            () => string.Join(", ", ConfiguredEndpoints.AddressesOf(server)));
    }
}
