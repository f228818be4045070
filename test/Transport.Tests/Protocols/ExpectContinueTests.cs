using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Protocols;

public class ExpectContinueTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task HttpClient_sends_the_body_once_it_is_told_to(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, AcceptOrRefuseAsync);
        using HttpClient client = CreateClient(server);

        for (int i = 0; i < 3; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/accept") { Content = new StringContent(new string('b', 100_000)) };
            request.Headers.ExpectContinue = true;
            using HttpResponseMessage response = await client.SendAsync(request).InTime();
            Assert.Equal("100000", await response.Content.ReadAsStringAsync().InTime());
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task HttpClient_keeps_the_body_that_is_refused(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, AcceptOrRefuseAsync);
        using HttpClient client = CreateClient(server);

        for (int i = 0; i < 3; i++)
        {
            var content = new DuplexContent();
            using var request = new HttpRequestMessage(HttpMethod.Post, "/refuse") { Content = content };
            request.Headers.ExpectContinue = true;
            using HttpResponseMessage response = await client.SendAsync(request).InTime();
            Assert.Equal(HttpStatusCode.ExpectationFailed, response.StatusCode);
            Assert.False(content.Started.IsCompleted);
        }
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_that_is_refused_may_send_its_body_all_the_same(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, AcceptOrRefuseAsync);
        using RawClient client = await server.ConnectAsync();

        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync("POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
            Assert.Equal(417, (await client.ReadResponseAsync()).Status);
            await client.SendAsync("12345POST /accept HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n123456");
            Assert.Equal("6", (await client.ReadResponseAsync()).Text);
        }
    }

    private static async Task AcceptOrRefuseAsync(HttpContext context)
    {
        if (context.Request.Path == "/refuse")
        {
            context.Response.StatusCode = StatusCodes.Status417ExpectationFailed;
            return;
        }

        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        await context.Response.WriteAsync($"{body.Length}");
    }

    private static HttpClient CreateClient(TestServer server) =>
        HttpClients.Create(server, "1.1", configure: static handler => handler.Expect100ContinueTimeout = Patience.Limit);
}
