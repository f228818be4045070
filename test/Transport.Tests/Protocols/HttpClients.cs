using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Clients that connect to one server whatever host a URI names, speak one version of HTTP, and trust one certificate.</summary>
internal static class HttpClients
{
    internal static HttpClient Create(
        TestServer server, string version, X509Certificate2? certificate = null, Action<SocketsHttpHandler>? configure = null) =>
        new(CreateHandler(server, certificate, configure))
        {
            BaseAddress = new Uri($"{(certificate is null ? "http" : "https")}://localhost:{server.EndPoint.Port}/"),
            DefaultRequestVersion = Version.Parse(version),
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

    internal static SocketsHttpHandler CreateHandler(
        TestServer server, X509Certificate2? certificate = null, Action<SocketsHttpHandler>? configure = null)
    {
        IPEndPoint endPoint = server.EndPoint;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) => await ConnectAsync(endPoint, cancellationToken),
        };
        if (certificate is not null)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = Trusting(certificate);
        }

        configure?.Invoke(handler);
        return handler;
    }

    internal static RemoteCertificateValidationCallback Trusting(X509Certificate2 certificate) =>
        (_, presented, _, _) => presented?.GetCertHashString() == certificate.GetCertHashString();

    internal static async Task<NetworkStream> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
