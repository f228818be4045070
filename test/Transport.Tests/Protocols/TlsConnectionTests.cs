using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>TLS with nothing above it but a handler that echoes: records both ways at once, and the ways to end.</summary>
public class TlsConnectionTests
{
    [Theory]
    [InlineData(TransportKind.Sockets, SslProtocols.Tls13)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls12)]
    [InlineData(TransportKind.Netpoll, SslProtocols.Tls13)]
    public async Task Large_contents_go_both_ways_at_once(TransportKind kind, SslProtocols protocol)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, EchoAsync);
        NetworkStream below = await HttpClients.ConnectAsync(server.EndPoint);
        await using (SslStream stream = await AuthenticateAsync(below, certificate, protocol))
        {
            byte[] content = RandomNumberGenerator.GetBytes(16 * 1024 * 1024);
            byte[] echoed = new byte[content.Length];
            Task reading = stream.ReadExactlyAsync(echoed.AsMemory()).AsTask();
            for (int sent = 0, size = 1; sent < content.Length; sent += size, size = (size * 2) + 1)
            {
                size = Math.Min(size, content.Length - sent);
                await stream.WriteAsync(content.AsMemory(sent, size)).InTime();
            }

            await reading.InTime();
            Assert.True(content.AsSpan().SequenceEqual(echoed));

            // The close_notify of one side is answered by the other's.
            await stream.ShutdownAsync().InTime();
            Assert.Equal(0, await stream.ReadAsync(new byte[1].AsMemory()).InTime());
        }

        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [InlineData(TransportKind.Sockets, "FIN")]
    [InlineData(TransportKind.Netpoll, "FIN")]
    [InlineData(TransportKind.Sockets, "RST")]
    [InlineData(TransportKind.Netpoll, "RST")]
    public async Task A_client_lost_without_a_close_notify_ends_the_read(TransportKind kind, string loss)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await StartAsync(kind, certificate, async connection =>
        {
            connection.ConnectionClosed.Register(() => closed.TrySetResult());

            // An end or an error, as it comes.
            await Record.ExceptionAsync(() => EchoAsync(connection));
            ended.SetResult();
        });
        NetworkStream below = await HttpClients.ConnectAsync(server.EndPoint);
        await using SslStream stream = await AuthenticateAsync(below, certificate, SslProtocols.Tls13);
        await stream.WriteAsync(new byte[10].AsMemory()).InTime();
        await stream.ReadExactlyAsync(new byte[10].AsMemory()).InTime();

        if (loss == "FIN")
        {
            below.Socket.Shutdown(SocketShutdown.Send);
        }
        else
        {
            below.Socket.Close(timeout: 0);
        }

        await ended.Task.InTime();
        await closed.Task.InTime();
        await server.Pools.AllReturnedAsync();
    }

    private static Task<TestServer> StartAsync(TransportKind kind, X509Certificate2 certificate, Func<ConnectionContext, Task> handler) =>
        TestServer.StartAsync(kind, setup => setup.Endpoint = options =>
        {
            options.UseHttps(certificate);
            options.Run(connection => handler(connection));
        });

    private static async Task<SslStream> AuthenticateAsync(NetworkStream below, X509Certificate2 certificate, SslProtocols protocol)
    {
        var stream = new SslStream(below);
        try
        {
            await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                EnabledSslProtocols = protocol,
                RemoteCertificateValidationCallback = HttpClients.Trusting(certificate),
            }).InTime();
            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    private static async Task EchoAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        while (true)
        {
            ReadResult result = await input.ReadAsync();
            foreach (ReadOnlyMemory<byte> segment in result.Buffer)
            {
                await connection.Transport.Output.WriteAsync(segment);
            }

            input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }
}
