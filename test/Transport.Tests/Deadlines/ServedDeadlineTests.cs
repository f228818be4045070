using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using KestrelNetpoll.Native;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Deadlines;

/// <summary>Deadlines that applications set, with Kestrel in between: it closes the connection and logs nothing above Debug.</summary>
public class ServedDeadlineTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(100);

    [Theory]
    [InlineData(HttpProtocols.Http1, "")]
    [InlineData(HttpProtocols.Http1, "GET / HTTP/1.1\r\nHo")]
    [InlineData(HttpProtocols.Http2, "")]
    [InlineData(HttpProtocols.Http2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0")]
    public async Task A_read_deadline_from_connection_middleware_ends_a_connection_quietly(HttpProtocols protocols, string sent)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Endpoint = options =>
        {
            options.Protocols = protocols;
            options.Use(WithReadDeadline);
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(sent);

        await client.ReadToEndAsync();

        Assert.Empty(server.Logs.Above(LogLevel.Information));
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [InlineData("")]
    [InlineData("\u0016\u0003\u0001\u0002\0")]
    public async Task So_it_does_within_the_handshake_of_TLS(string sent)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup => setup.Endpoint = options =>
        {
            options.Use(WithReadDeadline);
            options.UseHttps(certificate);
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync(sent);

        await client.ReadToEndAsync();

        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task A_handler_answers_a_body_that_does_not_come_in_time()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, async context =>
        {
            context.Features.Get<IConnectionDeadlineFeature>()!.SetReadDeadline(Soon);
            try
            {
                await context.Request.Body.CopyToAsync(Stream.Null);
            }
            catch (OperationCanceledException e) when (e.GetBaseException() is DeadlineExceededException)
            {
                context.Response.StatusCode = StatusCodes.Status408RequestTimeout;
                context.Response.Headers.Connection = "close";
            }
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");

        Assert.Equal(408, (await client.ReadResponseAsync()).Status);
        await client.ReadToEndAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task A_deadline_stays_for_the_next_request_unless_it_is_cleared()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, context =>
        {
            IConnectionDeadlineFeature deadlines = context.Features.Get<IConnectionDeadlineFeature>()!;
            deadlines.SetReadDeadline(context.Request.Path == "/last" ? Soon : Timeout.InfiniteTimeSpan);
            return context.Response.WriteAsync("in time");
        });
        using RawClient client = await server.ConnectAsync();
        foreach (string path in new[] { "/", "/", "/last" })
        {
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal("in time", (await client.ReadResponseAsync()).Text);
        }

        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_write_deadline_ends_a_response_that_nobody_takes(bool tls)
    {
        using X509Certificate2 certificate = TestCertificate.Create();
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            if (tls)
            {
                setup.Endpoint = options => options.UseHttps(certificate);
            }

            setup.App = async context =>
            {
                context.RequestAborted.Register(() => aborted.TrySetResult());
                context.Features.Get<IConnectionDeadlineFeature>()!.SetWriteDeadline(Soon);
                byte[] block = new byte[64 * 1024];
                while (!context.RequestAborted.IsCancellationRequested)
                {
                    await context.Response.Body.WriteAsync(block, CancellationToken.None);
                }
            };
        });

        if (tls)
        {
            using HttpClient http = HttpClients.Create(server, "1.1", certificate);
            using HttpResponseMessage response = await http.GetAsync(
                new Uri("/", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead).InTime();
            await aborted.Task.InTime();
        }
        else
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            await aborted.Task.InTime();
            Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        }

        await server.Pools.AllReturnedAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Fact]
    public async Task A_connection_handler_goes_on_after_a_deadline()
    {
        await using TestServer server = await TestServer.StartAsync(
            TransportKind.Netpoll, setup => setup.Endpoint = options => options.UseConnectionHandler<ImpatientHandler>());
        using RawClient client = await server.ConnectAsync();

        Assert.Equal("say something", await client.ReadLineAsync());
        Assert.Equal("say something", await client.ReadLineAsync());
        await client.SendAsync("hello");
        string heard;
        while ((heard = await client.ReadLineAsync()) == "say something")
        {
        }

        Assert.Equal("heard hello", heard);
        client.ShutdownSend();
        await client.ReadToEndAsync();
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static ConnectionDelegate WithReadDeadline(ConnectionDelegate next) => connection =>
    {
        connection.Features.Get<IConnectionDeadlineFeature>()!.SetReadDeadline(Soon);
        return next(connection);
    };

    private sealed class ImpatientHandler : ConnectionHandler
    {
        public override async Task OnConnectedAsync(ConnectionContext connection)
        {
            IConnectionDeadlineFeature deadlines = connection.Features.Get<IConnectionDeadlineFeature>()!;
            while (true)
            {
                deadlines.SetReadDeadline(Soon);
                ReadResult result;
                try
                {
                    result = await connection.Transport.Input.ReadAsync();
                }
                catch (ConnectionDeadlineExceededException)
                {
                    await connection.Transport.Output.WriteAsync("say something\n"u8.ToArray());
                    continue;
                }

                if (result.IsCompleted)
                {
                    return;
                }

                string text = Encoding.ASCII.GetString(result.Buffer);
                connection.Transport.Input.AdvanceTo(result.Buffer.End);
                await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes($"heard {text}\n"));
            }
        }
    }
}
