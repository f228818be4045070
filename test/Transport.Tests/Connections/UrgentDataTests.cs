using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>
/// TCP urgent data: a receive stops in front of the mark, however much lies behind it. The urgent byte itself is not part of the stream.
/// </summary>
public class UrgentDataTests
{
    private const int Rounds = 40;

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_request_with_an_urgent_byte_in_a_header_is_answered(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(
            kind, context => context.Response.WriteAsync(context.Request.Headers["X-A"].ToString()));
        for (int i = 0; i < Rounds; i++)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\nX-A: first\r\n\r\n");
            Assert.Equal("first", (await client.ReadResponseAsync()).Text);

            // The server waits for the next request now, at least most of the time.
            await Task.Delay(i % 3);
            await SendAroundUrgentByteAsync(client, "GET / HTTP/1.1\r\nHost: x\r\nX-A: sec", "ond\r\n\r\n", inOneSegment: i % 2 == 0);
            Assert.Equal("second", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_body_with_an_urgent_byte_inside_is_read_to_its_end(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, static async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            await context.Response.WriteAsync($"{body.Length}");
        });
        for (int i = 0; i < Rounds; i++)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
            await Task.Delay(i % 3);
            await SendAroundUrgentByteAsync(client, new string('a', 500), new string('b', 500), inOneSegment: i % 2 == 0);
            Assert.Equal("1000", (await client.ReadResponseAsync()).Text);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task What_lies_behind_urgent_bytes_is_echoed(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Endpoint = options => options.Run(static async connection =>
        {
            while (true)
            {
                ReadResult result = await connection.Transport.Input.ReadAsync();
                await connection.Transport.Output.WriteAsync(result.Buffer.ToArray());
                connection.Transport.Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    return;
                }
            }
        }));
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < Rounds; i++)
        {
            await SendAroundUrgentByteAsync(client, "before", "behind", inOneSegment: i % 2 == 0);
            Assert.Equal("beforebehind", Encoding.ASCII.GetString(await client.ReadExactlyAsync(12)));
            await Task.Delay(i % 3);
        }
    }

    /// <summary>With TryRead, and with what waits unread while the application is busy.</summary>
    [Fact]
    public async Task What_lies_behind_an_urgent_byte_is_taken_in_while_nobody_reads()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await SendAroundUrgentByteAsync(client, "before", "behind", inOneSegment: true);
        ReadResult result = await connection.Transport.Input.ReadAsync().InTime();
        connection.Transport.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        await Patience.UntilAsync(() => connection.BytesReceived == 12, "everything is taken in");
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    /// <summary>No byte that a reader could get: one look, and nothing more.</summary>
    [Fact]
    public async Task An_urgent_byte_alone_keeps_nobody_busy()
    {
        var kernel = new CountingKernel();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task<ReadResult> read = connection.Transport.Input.ReadAsync().AsTask();
        for (int i = 0; i < 10; i++)
        {
            await client.Socket.SendAsync(new byte[] { 33 }, SocketFlags.OutOfBand);
            await Task.Delay(10);
        }

        Assert.False(read.IsCompleted);
        Assert.InRange(kernel.Counts.Receives, 0, 40);
        await client.SendAsync("x");
        Assert.Equal(1, (await read.InTime()).Buffer.Length);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    private static async Task SendAroundUrgentByteAsync(RawClient client, string before, string behind, bool inOneSegment)
    {
        // TCP_CORK: nothing leaves before it is taken away.
        SetCork(inOneSegment);
        await client.SendAsync(before);
        Assert.Equal(1, await client.Socket.SendAsync("!"u8.ToArray(), SocketFlags.OutOfBand));
        await client.SendAsync(behind);
        SetCork(false);

        void SetCork(bool value) => client.Socket.SetRawSocketOption(6, 3, BitConverter.GetBytes(value ? 1 : 0));
    }
}
