using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scale;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>The sample, with headers sent by hand and, where it is installed, by HAProxy.</summary>
[OneMode]
public sealed partial class ProxyProtocolSampleTests : IAsyncLifetime
{
    private Process? _sample;
    private IPEndPoint _endPoint = new(IPAddress.None, 0);

    public async ValueTask InitializeAsync()
    {
        string? dotnet = ServerProcess.FindDotnet();
        Assert.SkipUnless(dotnet is not null, "The dotnet host is not beside the runtime of this process.");
        ProcessStartInfo start = new(dotnet, [Path.Combine(AppContext.BaseDirectory, "ProxyProtocol.dll"), "--urls", "http://127.0.0.1:0"])
        {
            RedirectStandardOutput = true,
        };
        _sample = Process.Start(start)!;
        string? line = "";
        while (line is not null && !Listening().IsMatch(line))
        {
            line = await _sample.StandardOutput.ReadLineAsync().InTime();
        }

        Assert.True(line is not null, "The sample has ended.");
        _endPoint = IPEndPoint.Parse(Listening().Match(line).Groups[1].Value);
    }

    public async ValueTask DisposeAsync()
    {
        if (_sample is not null)
        {
            _sample.Kill();
            await _sample.WaitForExitAsync().InTime();
            _sample.Dispose();
        }
    }

    [Fact]
    public async Task It_shows_who_the_header_names_and_refuses_who_sends_none()
    {
        foreach ((int version, byte[] header) in ((int, byte[])[])[
            (1, HeaderBytes.Text("PROXY TCP4 192.0.2.1 198.51.100.2 5 80")), (2, HeaderBytes.Binary("192.0.2.1:5", "198.51.100.2:80"))])
        {
            using RawClient proxy = await RawClient.ConnectAsync(_endPoint);
            await proxy.SendAsync((byte[])[.. header, .. "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8]);

            string text = (await proxy.ReadResponseAsync()).Text;
            Assert.StartsWith("client 192.0.2.1:5 has asked 198.51.100.2:80\n", text, StringComparison.Ordinal);
            Assert.EndsWith(
                $"\nproxy {proxy.Socket.LocalEndPoint} has sent a header of version {version}; id none\n", text, StringComparison.Ordinal);
        }

        using RawClient other = await RawClient.ConnectAsync(_endPoint);
        await other.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Empty((await other.ReadToEndAsync()).Bytes);
        Assert.Contains(" is closed: it sent no PROXY header.", await ReadLogAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_shows_HAProxys_client_and_id()
    {
        ProxyProcess.RequireHaproxy();
        await using ProxyProcess proxy = await ProxyProcess.StartHaproxyAsync(
            _endPoint, "send-proxy-v2 proxy-v2-options crc32c,unique-id", "bind FRONT\n    unique-id-format %ci:%cp");
        using RawClient client = await RawClient.ConnectAsync(proxy.EndPoint);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

        string text = (await client.ReadResponseAsync()).Text;
        Assert.StartsWith($"client {client.Socket.LocalEndPoint} has asked {proxy.EndPoint}\n", text, StringComparison.Ordinal);
        Assert.EndsWith($"version 2; id {client.Socket.LocalEndPoint}\n", text, StringComparison.Ordinal);
    }

    private async Task<string> ReadLogAsync()
    {
        string? line = "";
        while (line is not null && !line.Contains("is closed", StringComparison.Ordinal))
        {
            line = await _sample!.StandardOutput.ReadLineAsync().InTime();
        }

        return line ?? "The sample has ended.";
    }

    [GeneratedRegex(@"^Listening on http://(\S+)$")]
    private static partial Regex Listening();
}
