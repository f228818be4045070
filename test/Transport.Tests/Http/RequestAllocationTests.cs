using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>
/// A request on a connection that is kept alive allocates nothing, from the socket through Kestrel to an application that allocates nothing, and
/// back. Alone, because others' allocations cannot be told apart.
/// </summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class RequestAllocationTests
{
    private const int WarmUp = 5_000;
    private const int Requests = 20_000;

    // An object takes 24 bytes at least. What is left is done by the clock: Kestrel's date header and heartbeat.
    private const int Allowed = 8;

    [Theory]
    [InlineData(ApplicationScheduling.Workers)]
    [InlineData(ApplicationScheduling.WorkersOnly)]
    [InlineData(ApplicationScheduling.ThreadPool)]
    public async Task A_request_allocates_nothing(ApplicationScheduling scheduling)
    {
        byte[] body = Encoding.ASCII.GetBytes("Hello, World!");
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Netpoll = options => (options.WorkerCount, options.WorkerGroupCount, options.ApplicationScheduling) = (1, 1, scheduling);
            setup.LogFilter = static (_, _) => false;
            setup.Services = static services =>
                services.Replace(ServiceDescriptor.Singleton<IMemoryPoolFactory<byte>>(new RecyclingPool()));
            setup.App = context =>
            {
                context.Response.ContentLength = body.Length;
                Span<byte> span = context.Response.BodyWriter.GetSpan(body.Length);
                body.CopyTo(span);
                context.Response.BodyWriter.Advance(body.Length);
                return Task.CompletedTask;
            };
        });
        long allocated = await Task.Run(() =>
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

            // Not asynchronously: that would make it, and every later call, a different one, which allocates.
            client.Connect(server.EndPoint);
            client.ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds;
            byte[] request = Encoding.ASCII.GetBytes("GET /plaintext HTTP/1.1\r\nHost: x\r\n\r\n");
            byte[] buffer = new byte[1_000];
            Ask(client, request, buffer, WarmUp);
            long before = GC.GetTotalAllocatedBytes(precise: true);
            Ask(client, request, buffer, Requests);
            return GC.GetTotalAllocatedBytes(precise: true) - before;
        });
        Assert.True(allocated < Allowed * Requests, $"{allocated} bytes for {Requests} requests");
    }

    private static void Ask(Socket client, byte[] request, byte[] buffer, int requests)
    {
        for (int i = 0; i < requests; i++)
        {
            client.Send(request);
            int received = 0;
            do
            {
                int count = client.Receive(buffer.AsSpan(received));
                Assert.True(count > 0, "The connection ended.");
                received += count;
            }
            while (!buffer.AsSpan(0, received).EndsWith("Hello, World!"u8));
        }
    }
}
