using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>What gRPC puts on the wire: length-prefixed messages both ways on one stream, and the status in the trailers.</summary>
public class GrpcShapedTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_bidirectional_call_answers_message_by_message(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, EchoCallAsync);
        await using Call call = await Call.StartAsync(server.Client);

        var random = new Random(7);
        foreach (int size in (int[])[0, 1, 100, 4_091, 4_096, 70_000, 1_500_000, 3, 0])
        {
            byte[] message = new byte[size];
            random.NextBytes(message);
            await call.SendAsync(message);
            byte[]? answer = await call.ReceiveAsync();
            Assert.True(message.AsSpan().SequenceEqual(answer));
        }

        call.Finish();
        Assert.Null(await call.ReceiveAsync());
        Assert.Equal("0", call.Status);
        Assert.Equal("9 messages", call.StatusMessage);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Many_calls_stream_at_once_on_one_connection(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, EchoCallAsync);

        await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            await using Call call = await Call.StartAsync(server.Client);
            for (int n = 0; n < 50; n++)
            {
                byte[] message = new byte[(i * n * 13) % 5000];
                Array.Fill(message, (byte)i);
                await call.SendAsync(message);
                byte[]? answer = await call.ReceiveAsync();
                Assert.True(message.AsSpan().SequenceEqual(answer));
            }

            call.Finish();
            Assert.Null(await call.ReceiveAsync());
            Assert.Equal("0", call.Status);
        })).InTime();

        Assert.Equal(1, server.Connections);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_server_may_end_a_call_with_an_error_while_the_client_is_still_sending(TransportKind kind)
    {
        await using var server = await Http2Server.StartAsync(kind, async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.FlushAsync();
            await ReadMessageAsync(context.Request.BodyReader);
            context.Response.AppendTrailer("grpc-status", "13");
            context.Response.AppendTrailer("grpc-message", "no more");
        });
        for (int i = 0; i < 10; i++)
        {
            await using Call call = await Call.StartAsync(server.Client);
            await call.SendAsync(new byte[10]);

            Assert.Null(await call.ReceiveAsync());

            Assert.Equal("13", call.Status);
            Assert.Equal("no more", call.StatusMessage);
        }

        Assert.Equal(1, server.Connections);
    }

    private static async Task EchoCallAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.FlushAsync();
        int messages = 0;
        while (await ReadMessageAsync(context.Request.BodyReader) is { } message)
        {
            messages++;
            await context.Response.BodyWriter.WriteAsync(Frame(message));
        }

        context.Response.AppendTrailer("grpc-status", "0");
        context.Response.AppendTrailer("grpc-message", $"{messages} messages");
    }

    private static byte[] Frame(byte[] message)
    {
        byte[] frame = new byte[5 + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.Length);
        message.CopyTo(frame, 5);
        return frame;
    }

    /// <summary>The next message; null at the end.</summary>
    private static async Task<byte[]?> ReadMessageAsync(PipeReader reader)
    {
        ReadResult result = await reader.ReadAtLeastAsync(5);
        if (result.Buffer.IsEmpty)
        {
            return null;
        }

        byte[] prefix = result.Buffer.Slice(0, 5).ToArray();
        Assert.Equal(0, prefix[0]);
        reader.AdvanceTo(result.Buffer.GetPosition(5));
        int length = BinaryPrimitives.ReadInt32BigEndian(prefix.AsSpan(1));
        if (length == 0)
        {
            return [];
        }

        result = await reader.ReadAtLeastAsync(length);
        byte[] message = result.Buffer.Slice(0, length).ToArray();
        reader.AdvanceTo(result.Buffer.GetPosition(length));
        return message;
    }

    private sealed class Call(DuplexContent request, HttpResponseMessage response, PipeReader reader) : IAsyncDisposable
    {
        internal string Status => response.TrailingHeaders.GetValues("grpc-status").Single();

        internal string StatusMessage => response.TrailingHeaders.GetValues("grpc-message").Single();

        internal static async Task<Call> StartAsync(HttpClient client)
        {
            var content = new DuplexContent();
            content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
            var request = new HttpRequestMessage(HttpMethod.Post, "/service/Method")
            {
                Content = content,
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
            HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).InTime();
            Assert.Equal("application/grpc", response.Content.Headers.ContentType?.MediaType);
            return new Call(content, response, PipeReader.Create(await response.Content.ReadAsStreamAsync().InTime()));
        }

        internal Task SendAsync(byte[] message) => request.WriteAsync(Frame(message));

        internal Task<byte[]?> ReceiveAsync() => ReadMessageAsync(reader).InTime();

        internal void Finish() => request.Finish();

        public async ValueTask DisposeAsync()
        {
            request.Finish();
            await reader.CompleteAsync();
            response.Dispose();
            request.Dispose();
        }
    }
}
