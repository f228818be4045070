using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>100,000 requests from nghttp2's load generator, none of which may fail.</summary>
[Collection(nameof(Alone))]
public class H2LoadTests
{
    [Theory]
    [InlineData(TransportKind.Sockets, false, 5_000)]
    [InlineData(TransportKind.Sockets, true, 5_000)]
    [InlineData(TransportKind.Netpoll, false, 70_000)]
    [InlineData(TransportKind.Netpoll, true, 30_000)]
    public async Task Every_request_succeeds(TransportKind kind, bool tls, int requests)
    {
        CommandLineTool.Require("h2load", "h2load is not installed (Debian package nghttp2-client).");
        using X509Certificate2 certificate = TestCertificate.Create();
        int served = 0;
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http2;
                if (tls)
                {
                    options.UseHttps(certificate);
                }
            };

            // A line or two for each request would fill the collector.
            setup.Services = services => services.Configure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.Warning);
            setup.App = context =>
            {
                Interlocked.Increment(ref served);
                return context.Response.WriteAsync("Hello, World!");
            };
        });

        ToolOutput output = await CommandLineTool.RunAsync("h2load", [
            "-n", requests.ToString(CultureInfo.InvariantCulture), "-c", "20", "-m", "25", "-t", "1", $"{(tls ? "https" : "http")}://{server.EndPoint}/"]);

        Assert.Contains(
            $"requests: {requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 errored, 0 timeout", output.Text, StringComparison.Ordinal);
        Assert.Contains($"status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx", output.Text, StringComparison.Ordinal);
        Assert.Equal(requests, served);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }
}
