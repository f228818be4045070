using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>What a keep-alive request costs in system calls, counted where they are made. <c>strace -c</c> shows the same from outside.</summary>
public class SystemCallBudgetTests
{
    private const int Requests = 200;

    [Fact]
    public async Task A_keep_alive_request_is_one_receive_and_one_send()
    {
        var kernel = new CountingKernel();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = kernel;
            setup.App = WriteHello;
        });
        using RawClient client = await server.ConnectAsync();
        await GetAsync(client);

        (long receives, long sends, long others) = kernel.Counts;
        for (int i = 0; i < Requests; i++)
        {
            await GetAsync(client);
        }

        (long receivesAfter, long sendsAfter, long othersAfter) = kernel.Counts;

        // A request may arrive while its predecessor's turn is still ending, more often on a busy machine; its edge then costs a receive that
        // finds nothing.
        Assert.InRange(receivesAfter - receives, Requests, Requests + (Requests / 4));
        Assert.Equal(Requests, sendsAfter - sends);
        Assert.Equal(0, othersAfter - others);
    }

    [Fact]
    public async Task Pipelined_responses_leave_together()
    {
        var kernel = new CountingKernel();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = kernel;

            setup.App = WriteHello;
        });
        using RawClient client = await server.ConnectAsync();
        await GetAsync(client);

        const int Pipelined = 16;
        string batch = string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Pipelined));
        long sends = kernel.Counts.Sends;
        for (int i = 0; i < Requests; i++)
        {
            await client.SendAsync(batch);
            for (int response = 0; response < Pipelined; response++)
            {
                Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            }
        }

        // One send for each batch, unless the batch itself came in pieces, or a busy machine stopped the turn, as if the application blocked.
        Assert.InRange(kernel.Counts.Sends - sends, Requests, Requests * Pipelined / 4);
    }

    private static Task WriteHello(HttpContext context)
    {
        context.Response.ContentLength = "Hello, World!".Length;
        return context.Response.WriteAsync("Hello, World!");
    }

    private static async Task GetAsync(RawClient client)
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
    }
}
