using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Who takes over goes on with what is served: with some of it at least.</summary>
[OneMode]
public sealed class ClaimTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_listens_nowhere_where_the_old_one_does_is_refused(bool asks)
    {
        await using TestServer old = await _place.StartServingAsync();
        using (RawPeer peer = await RawPeer.ConnectAsync(_place.Path))
        {
            peer.Send('H', "netpoll hand-over 1");
            Assert.Equal('W', (await peer.ReceiveAsync())?.Kind);
            if (asks)
            {
                Send(peer, 'A', new IPEndPoint(IPAddress.Parse("127.0.0.2"), old.EndPoint.Port));
                Assert.Equal('S', (await peer.ReceiveAsync())?.Kind);
            }

            peer.Send('R');
            (char Kind, string Payload)? answer = await peer.ReceiveAsync();
            Assert.Equal('X', answer?.Kind);
            Assert.Contains("none of this process's endpoints", answer!.Value.Payload, StringComparison.Ordinal);
        }

        using RawClient client = await old.ConnectAsync();
        Assert.Equal("1", await client.AskAsync());
    }

    [Fact]
    public async Task A_process_that_has_only_handles_takes_over_and_what_it_does_not_have_is_named()
    {
        using var owner = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        owner.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await using TestServer old = await _place.StartServingAsync(setup => setup.Kestrel = options => options.ListenHandle((ulong)owner.Handle));

        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel(options => options.ListenHandle((ulong)owner.Handle));
        builder.WebHost.UseNetpollTransport(options => options.HandOverPath = _place.Path);
        await using WebApplication young = builder.Build();
        young.Run(static context => context.Response.WriteAsync("2"));
        await young.StartAsync().InTime();
        await old.DrainedAsync();
        await old.StopAsync();

        LogEntry entry = Assert.Single(old.Logs.Of(TransportKind.Netpoll, 147));
        Assert.Equal(LogLevel.Warning, entry.Level);
        Assert.StartsWith($"{old.EndPoint} ", entry.Message, StringComparison.Ordinal);
        using RawClient client = await RawClient.ConnectAsync(owner.LocalEndPoint!);
        Assert.Equal("2", await client.AskAsync());
        await young.StopAsync().InTime();
    }

    private static void Send(RawPeer peer, char kind, EndPoint endPoint)
    {
        byte[] address = SocketAddresses.ToBytes(endPoint);
        peer.Send([(byte)kind, (byte)address.Length, 0, .. address]);
    }
}
