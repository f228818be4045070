using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>Responses that are left to the end of a turn reach the client all the same.</summary>
public class PipeliningTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    public async Task Responses_arrive_although_the_client_has_finished_sending(int requests)
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll);
        byte[] pipelined = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(Request, requests)));
        for (int i = 0; i < 200; i++)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync(Request);
            await client.ReadResponseAsync();

            await client.SendAsync(pipelined);
            client.ShutdownSend();

            string text = Encoding.ASCII.GetString((await client.ReadToEndAsync()).Bytes);
            Assert.True(requests == text.Split("HTTP/1.1 200 OK").Length - 1, $"Connection {i} got: {text}");
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_response_is_not_held_back_while_the_next_handler_waits_for_the_client(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Netpoll = static options => options.WorkerCount = SuiteSettings.TwoWorkersForEachGroup;
            setup.Kestrel = options => options.AllowSynchronousIO = true;
            setup.App = context =>
            {
                byte[] body = new byte[10];
                if (context.Request.ContentLength > 0)
                {
                    context.Request.Body.ReadExactly(body);
                }

                return context.Response.WriteAsync(context.Request.Method);
            };
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(Request + "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");

        Assert.Equal("GET", (await client.ReadResponseAsync()).Text);
        await client.SendAsync("67890");
        Assert.Equal("POST", (await client.ReadResponseAsync()).Text);
    }
}
