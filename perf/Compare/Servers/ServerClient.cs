using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography;
using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>Asks a server what only it knows, and for single answers, to see whether they are right.</summary>
internal sealed class ServerClient : IDisposable
{
    // After a blocking load, a starved server needs its time.
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(2);

    private readonly HttpClient _http;

    internal ServerClient(string host, int port)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        _http = new HttpClient(handler) { BaseAddress = new UriBuilder(Uri.UriSchemeHttp, host, port).Uri, Timeout = Timeout };
    }

    internal async Task<string> GetTransportAsync(CancellationToken cancellationToken) =>
        (await GetAsync<TransportAnswer>("/transport", cancellationToken)).Transport;

    internal Task<EndpointAnswer[]> GetEndpointsAsync(CancellationToken cancellationToken) =>
        GetAsync<EndpointAnswer[]>("/endpoints", cancellationToken);

    internal Task<ProcessUsage> GetUsageAsync(bool collect, bool resetPeak, CancellationToken cancellationToken)
    {
        string[] wishes = [.. collect ? new[] { "collect" } : [], .. resetPeak ? new[] { "reset-peak" } : []];
        return GetAsync<ProcessUsage>("/process" + (wishes.Length > 0 ? "?" + string.Join('&', wishes) : ""), cancellationToken);
    }

    /// <summary>One request over a connection of its own, and what the answer looks like: two transports must not differ in it.</summary>
    internal static async Task<string> DescribeAnswerAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler { UseProxy = false };
#pragma warning disable CA5359 // The certificate is one that nobody knows: the server makes it when it starts.
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        if (request.UnixPath is { } path)
        {
            handler.ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), token);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }

        byte[]? sent = request.Body ?? (request.UploadBytes > 0 ? new byte[Math.Min(request.UploadBytes, ushort.MaxValue)] : null);
        using ByteArrayContent? content = sent is null ? null : new ByteArrayContent(sent);
        using var client = new HttpClient(handler) { Timeout = Timeout };
        using var message = new HttpRequestMessage(
            content is not null ? HttpMethod.Post : HttpMethod.Get,
            request.UnixPath is null ? request.Url : "http://localhost" + request.Path)
        {
            Version = request.Protocol == LoadProtocol.Http2 ? HttpVersion.Version20 : HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        foreach ((string name, string value) in request.Headers)
        {
            if (!message.Headers.TryAddWithoutValidation(name, value))
            {
                content?.Headers.TryAddWithoutValidation(name, value);
            }
        }

        using HttpResponseMessage answer = await client.SendAsync(message, cancellationToken);
        byte[] body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
        string hash = Convert.ToHexString(SHA256.HashData(body));
        string encoding = string.Concat(answer.Content.Headers.ContentEncoding.Select(static name => name + " "));
        string trailers = string.Concat(answer.TrailingHeaders.Select(static field => $", {field.Key}: {string.Join(',', field.Value)}"));
        string kind = $"{answer.Content.Headers.ContentType} {encoding}";
        return answer.IsSuccessStatusCode
            ? FormattableString.Invariant(
                $"HTTP/{answer.Version} {(int)answer.StatusCode} {kind}{body.Length} bytes, SHA-256 {hash}{trailers}")
            : throw new LoadException($"{request.Url} is answered with {(int)answer.StatusCode}.");
    }

    public void Dispose() => _http.Dispose();

    private async Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        await _http.GetFromJsonAsync<T>(path, cancellationToken) ?? throw new LoadException($"{path} answers null.");

    private sealed record TransportAnswer(string Transport);
}

/// <summary>An endpoint as the server lists it.</summary>
internal sealed record EndpointAnswer(string Name, int? Port, string? Path);
