using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Which transport serves which endpoint, as code chooses it.</summary>
[OneMode]
public class EndpointTransportTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    private const int MaxAttempts = 20;

    [Fact]
    public async Task Endpoints_are_told_apart_also_if_their_addresses_are_equal()
    {
        var twice = new IPEndPoint(IPAddress.Loopback, 0);
        await using TestServer server = await StartAsync(options =>
        {
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseSocketsTransport());
            options.Listen(IPAddress.Loopback, 0);
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseNetpoll());
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseNetpoll().UseSocketsTransport());
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseSocketsTransport().UseNetpoll());
            options.Listen(twice, static endpoint => endpoint.UseSocketsTransport());
            options.Listen(twice);
        });

        Assert.Equal(
            ["netpoll", "sockets", "netpoll", "netpoll", "sockets", "netpoll", "sockets", "netpoll"], await TransportsOfAsync(server));
        LogEntry[] left = [.. server.Logs.Of(TransportKind.Netpoll, 114)];
        Assert.Equal(3, left.Length);
        Assert.Equal(
            (LogLevel.Information, "127.0.0.1:0 is left to Kestrel's other transports, as its options say."),
            (left[0].Level, left[0].Message));
        Assert.Equal(5, server.Factory!.EndPoints.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Both_addresses_of_localhost_are_meant(bool sockets)
    {
        (TestServer started, int port) = await StartOnFreePortAsync((options, port) =>
        {
            options.ListenLocalhost(port, endpoint => Choose(endpoint, sockets));
            options.Listen(IPAddress.Loopback, 0, endpoint => Choose(endpoint, !sockets));
        });
        await using TestServer server = started;

        string expected = sockets ? "sockets" : "netpoll";
        Assert.Equal(expected, await TransportOfAsync(new IPEndPoint(IPAddress.Loopback, port)));
        Assert.Equal(expected, await TransportOfAsync(new IPEndPoint(IPAddress.IPv6Loopback, port)));
        Assert.Equal(sockets ? "netpoll" : "sockets", (await TransportsOfAsync(server))[^1]);
        Assert.Equal(sockets ? [] : [7, 7], QueueLimitsOf(server, port));
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task All_addresses_are_meant_with_IPv6_and_without()
    {
        foreach (NoIPv6? kernel in (NoIPv6?[])[null, new NoIPv6()])
        {
            await using TestServer server = await StartAsync(
                static options =>
                {
                    options.ListenAnyIP(0, static endpoint => Choose(endpoint, sockets: false));
                    options.ListenAnyIP(0, static endpoint => Choose(endpoint, sockets: true));
                    options.ListenAnyIP(0);
                },
                kernel);

            Assert.Equal(["netpoll", "netpoll", "sockets", "netpoll"], await TransportsOfAsync(server));
            IPEndPoint own = Assert.Single(server.Factory!.GetAcceptQueues(), static queue => queue.Limit == 7).EndPoint as IPEndPoint
                ?? throw new InvalidOperationException();
            Assert.Equal(kernel is null ? IPAddress.IPv6Any : IPAddress.Any, own.Address);
            Assert.Empty(server.Logs.Above(LogLevel.Information));
        }
    }

    [Fact]
    public async Task What_all_endpoints_have_by_default_one_may_have_otherwise()
    {
        await using TestServer server = await StartAsync(static options =>
        {
            options.ConfigureEndpointDefaults(static endpoint => endpoint.UseSocketsTransport());
            options.Listen(IPAddress.Loopback, 0);
            options.Listen(IPAddress.Loopback, 0, static endpoint => Choose(endpoint, sockets: false));
            options.ConfigureEndpointDefaults(static endpoint => endpoint.UseNetpoll(static netpoll => netpoll.Backlog = 9));
            options.Listen(IPAddress.Loopback, 0);
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseNetpoll(static netpoll => netpoll.Backlog += 2));
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseSocketsTransport());
        });

        Assert.Equal(["netpoll", "sockets", "netpoll", "netpoll", "netpoll", "sockets"], await TransportsOfAsync(server));
        Assert.Equal([7, 9, 11], server.Factory!.GetAcceptQueues().Select(static queue => queue.Limit).Where(static limit => limit < 12).Order());
    }

    /// <summary>Of these endpoints nobody has a <see cref="ListenOptions"/> but what all have by default.</summary>
    [Fact]
    public async Task Addresses_that_are_given_as_URLs_have_what_all_have_by_default()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseNetpollTransport()
            .UseKestrel(static options => options.ConfigureEndpointDefaults(static endpoint => endpoint.UseSocketsTransport()))
            .UseUrls("http://127.0.0.1:0", "http://[::1]:0");
        await using WebApplication app = builder.Build();
        app.Run(AnswerTransport);
        await app.StartAsync().InTime();

        foreach (Uri address in app.Urls.Select(static url => new Uri(url)))
        {
            Assert.Equal("sockets", await TransportOfAsync(new IPEndPoint(IPAddress.Parse(address.Host), address.Port)));
        }

        Assert.Equal(2, app.Urls.Count);
        await app.StopAsync().InTime();
    }

    [Fact]
    public async Task Https_and_what_Kestrel_says_of_addresses_stay_as_they_are()
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        var endpoints = new List<ListenOptions>();
        await using TestServer server = await StartAsync(options => options.Listen(IPAddress.Loopback, 0, endpoint =>
        {
            endpoints.Add(endpoint.UseNetpoll(static netpoll => netpoll.Backlog = 7).UseHttps(certificate));
            Assert.Equal(new IPEndPoint(IPAddress.Loopback, 0), endpoint.IPEndPoint);
        }));

        var address = new Uri(server.Addresses.Last());
        Assert.Equal(("https", endpoints[0].IPEndPoint!.Port), (address.Scheme, address.Port));
        Assert.Equal([7], QueueLimitsOf(server, address.Port));
        using RawClient client = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, address.Port));
        await using var tls = new SslStream(new NetworkStream(client.Socket), leaveInnerStreamOpen: false, HttpClients.Trusting(certificate));
        await tls.AuthenticateAsClientAsync("localhost").InTime();
        await tls.WriteAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(tls);
        Assert.EndsWith("netpoll", (await reader.ReadToEndAsync().InTime()).TrimEnd('\r', '\n', '0'), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pipeline_that_is_built_for_another_reason_says_nothing()
    {
        await using TestServer server = await StartAsync(static options =>
        {
            options.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.UseSocketsTransport().Build());
            options.Listen(IPAddress.Loopback, 0);
        });

        Assert.Equal(["netpoll", "sockets", "netpoll"], await TransportsOfAsync(server));
    }

    [Fact]
    public async Task A_handle_can_be_left_to_Sockets()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using TestServer server = await StartAsync(
            options => options.ListenHandle((ulong)listener.Handle, static endpoint => endpoint.UseSocketsTransport()));

        Assert.Equal("sockets", await TransportOfAsync(listener.LocalEndPoint!));
    }

    [Fact]
    public async Task Without_the_transport_leaving_an_endpoint_to_Sockets_does_nothing_and_the_other_is_refused()
    {
        await using (TestServer server = await TestServer.StartAsync(
            TransportKind.Sockets, static setup => setup.Endpoint = static endpoint => endpoint.UseSocketsTransport()))
        {
            Assert.Single(server.Addresses);
        }

        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(
            TransportKind.Sockets, static setup => setup.Endpoint = static endpoint => endpoint.UseNetpoll()));
        Assert.StartsWith("UseNetpoll needs the netpoll transport: call UseNetpollTransport of ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Null_is_refused()
    {
        Assert.Throws<ArgumentNullException>(() => NetpollListenOptionsExtensions.UseNetpoll(null!));
        Assert.Throws<ArgumentNullException>(() => NetpollListenOptionsExtensions.UseSocketsTransport(null!));
    }

    private static void Choose(ListenOptions endpoint, bool sockets) =>
        _ = sockets ? endpoint.UseSocketsTransport() : endpoint.UseNetpoll(static netpoll => netpoll.Backlog = 7);

    private static IEnumerable<int> QueueLimitsOf(TestServer server, int port) =>
        server.Factory!.GetAcceptQueues().Where(queue => ((IPEndPoint)queue.EndPoint).Port == port).Select(static queue => queue.Limit);

    private static Task<TestServer> StartAsync(Action<KestrelServerOptions> kestrel, SystemCalls? kernel = null) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Kestrel = kestrel;
            setup.SystemCalls = kernel;
            setup.App = AnswerTransport;
        });

    // For what does not begin with port 0. Others may take the port after it has been found to be free.
    private static async Task<(TestServer Server, int Port)> StartOnFreePortAsync(Action<KestrelServerOptions, int> kestrel)
    {
        for (int attempt = 1; ; attempt++)
        {
            int port;
            await using (TestServer probe = await StartAsync(static _ => { }))
            {
                port = probe.EndPoint.Port;
            }

            try
            {
                return (await StartAsync(options => kestrel(options, port)), port);
            }
            catch (IOException e) when (e.InnerException is AddressInUseException && attempt < MaxAttempts)
            {
            }
        }
    }

    private static Task AnswerTransport(HttpContext context) =>
        context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "sockets");

    // In the order of the endpoints.
    private static async Task<string[]> TransportsOfAsync(TestServer server)
    {
        var transports = new List<string>();
        foreach (string address in server.Addresses)
        {
            transports.Add(await TransportOfAsync(new IPEndPoint(IPAddress.Loopback, new Uri(address).Port)));
        }

        return [.. transports];
    }

    private static async Task<string> TransportOfAsync(EndPoint endPoint)
    {
        using RawClient client = await RawClient.ConnectAsync(endPoint);
        await client.SendAsync(Request);
        return (await client.ReadResponseAsync()).Text;
    }

    private sealed class NoIPv6 : SystemCalls
    {
        protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) =>
            domain == LibC.AF_INET6 ? SyscallResult.Failure(Errno.EAFNOSUPPORT) : base.SocketOnce(domain, type, protocol);
    }
}
