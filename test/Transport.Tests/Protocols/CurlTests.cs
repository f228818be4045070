using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>A client that shares no code with the server.</summary>
public class CurlTests
{
    private const int Size = 5_000_000;

    [Theory]
    [InlineData(TransportKind.Sockets, "--http2-prior-knowledge")]
    [InlineData(TransportKind.Netpoll, "--http2-prior-knowledge")]
    [InlineData(TransportKind.Netpoll, "--http1.1")]
    public async Task Curl_without_TLS(TransportKind kind, string version)
    {
        await RequireCurlAsync("HTTP2");
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options => options.Protocols = version == "--http1.1" ? HttpProtocols.Http1 : HttpProtocols.Http2;
            setup.App = ServeAsync;
        });

        await TransferAsync(server, "http", version);
    }

    [Theory]
    [InlineData(TransportKind.Sockets, "--http2")]
    [InlineData(TransportKind.Netpoll, "--http2")]
    [InlineData(TransportKind.Netpoll, "--http1.1")]
    public async Task Curl_with_TLS(TransportKind kind, string version)
    {
        await RequireCurlAsync("HTTP2");
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http1AndHttp2;
                options.UseHttps(certificate);
            };
            setup.App = ServeAsync;
        });

        await TransferAsync(server, "https", version);
    }

    private static async Task TransferAsync(TestServer server, string scheme, string version)
    {
        string uri = $"{scheme}://{server.EndPoint}/";
        string[] common = ["--silent", "--show-error", "--insecure", "--noproxy", "*", version];
        string protocol = version == "--http1.1" ? "HTTP/1.1" : "HTTP/2";

        // Several requests on one connection; %{num_connects} counts the new ones. With prior knowledge, curl 7.88 cannot use one again.
        int requests = version == "--http2-prior-knowledge" ? 1 : 3;
        ToolOutput small = await CommandLineTool.RunAsync("curl", [.. common, "--write-out", " %{num_connects}\n", .. Enumerable.Repeat(uri, requests)]);
        Assert.Equal(string.Concat(Enumerable.Range(0, requests).Select(i => $"{protocol} {(i == 0 ? 1 : 0)}\n")), small.Text);

        byte[] body = RandomNumberGenerator.GetBytes(Size);
        ToolOutput upload = await CommandLineTool.RunAsync("curl", [.. common, "--data-binary", "@-", uri], body);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), upload.Text);

        ToolOutput download = await CommandLineTool.RunAsync("curl", [.. common, "--output", "/dev/null", "--write-out", "%{size_download}", uri + "large"]);
        Assert.Equal(Size.ToString(CultureInfo.InvariantCulture), download.Text);
        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static async Task ServeAsync(HttpContext context)
    {
        if (context.Request.Method == HttpMethods.Post)
        {
            await context.Response.WriteAsync(Convert.ToHexStringLower(await SHA256.HashDataAsync(context.Request.Body)));
        }
        else if (context.Request.Path == "/large")
        {
            await context.Response.Body.WriteAsync(new byte[Size]);
        }
        else
        {
            await context.Response.WriteAsync(context.Request.Protocol);
        }
    }

    private static async Task RequireCurlAsync(string feature)
    {
        CommandLineTool.Require("curl", "curl is not installed.");
        ToolOutput version = await CommandLineTool.RunAsync("curl", ["--version"]);
        Assert.SkipUnless(version.Text.Contains(feature, StringComparison.Ordinal), $"This curl has no {feature}.");
    }
}
