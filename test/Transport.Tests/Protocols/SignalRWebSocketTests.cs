using System.Net.WebSockets;
using System.Text.Json;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>SignalR's server, and a client that writes the protocol out by hand.</summary>
public class SignalRWebSocketTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Invocations_return_their_results(TransportKind kind)
    {
        await using TestServer server = await TestHub.StartAsync(kind);
        using HubClient client = await HubClient.ConnectAsync(server);

        for (int i = 0; i < 50; i++)
        {
            await client.SendAsync(HubRecords.Invocation($"{i}", "Repeat", "ab", i * 100));
            JsonElement completion = await client.ReceiveAsync();
            Assert.Equal(3, HubRecords.TypeOf(completion));
            Assert.Equal($"{i}", completion.GetProperty("invocationId").GetString());
            Assert.Equal(string.Concat(Enumerable.Repeat("ab", i * 100)), completion.GetProperty("result").GetString());
        }

        await client.SendAsync(HubRecords.Invocation("bad", "NoSuchMethod"));
        Assert.Contains("NoSuchMethod", (await client.ReceiveAsync()).GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Streams_go_both_ways(TransportKind kind)
    {
        await using TestServer server = await TestHub.StartAsync(kind);
        using HubClient client = await HubClient.ConnectAsync(server);

        await client.SendAsync("""{"type":4,"invocationId":"down","target":"CountAsync","arguments":[300]}""");
        for (int i = 0; i < 300; i++)
        {
            JsonElement item = await client.ReceiveAsync();
            Assert.Equal(2, HubRecords.TypeOf(item));
            Assert.Equal(i, item.GetProperty("item").GetInt32());
        }

        Assert.Equal(3, HubRecords.TypeOf(await client.ReceiveAsync()));

        await client.SendAsync("""{"type":1,"invocationId":"up","target":"SumAsync","arguments":[],"streamIds":["numbers"]}""");
        await client.SendAsync([.. Enumerable.Range(0, 300).Select(static i => $$"""{"type":2,"invocationId":"numbers","item":{{i}}}""")]);
        await client.SendAsync("""{"type":3,"invocationId":"numbers"}""");
        JsonElement sum = await client.ReceiveAsync();
        Assert.Equal("up", sum.GetProperty("invocationId").GetString());
        Assert.Equal(300 * 299 / 2, sum.GetProperty("result").GetInt32());
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_server_calls_every_client(TransportKind kind)
    {
        await using TestServer server = await TestHub.StartAsync(kind);
        List<HubClient> clients = [];
        try
        {
            for (int i = 0; i < 20; i++)
            {
                HubClient client = await HubClient.ConnectAsync(server);
                clients.Add(client);

                // The answer to the handshake is sent before the server counts the client among all; the answer to a call is not.
                await client.SendAsync("""{"type":1,"invocationId":"0","target":"Repeat","arguments":["x",1]}""");
                Assert.Equal("x", (await client.ReceiveAsync()).GetProperty("result").GetString());
            }

            for (int round = 0; round < 10; round++)
            {
                await clients[round].SendAsync($$"""{"type":1,"target":"TellEverybodyAsync","arguments":["round {{round}}"]}""");
                foreach (HubClient client in clients)
                {
                    JsonElement call = await client.ReceiveAsync();
                    Assert.Equal("told", call.GetProperty("target").GetString());
                    Assert.Equal($"round {round}", call.GetProperty("arguments")[0].GetString());
                }
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    [Theory]
    [InlineData(TransportKind.Sockets, false)]
    [InlineData(TransportKind.Netpoll, false)]
    [InlineData(TransportKind.Sockets, true)]
    [InlineData(TransportKind.Netpoll, true)]
    public async Task The_hub_learns_that_a_client_has_left(TransportKind kind, bool abruptly)
    {
        await using TestServer server = await TestHub.StartAsync(kind);
        HubPresence presence = server.Services.GetRequiredService<HubPresence>();
        using HubClient client = await HubClient.ConnectAsync(server);

        if (abruptly)
        {
            client.Socket.Abort();
        }
        else
        {
            await client.Socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default).InTime();
        }

        Assert.NotEmpty(await presence.NextToLeaveAsync());
    }

    private sealed class HubClient(ClientWebSocket socket) : IDisposable
    {
        private readonly HubRecords _records = new();

        internal ClientWebSocket Socket => socket;

        internal static async Task<HubClient> ConnectAsync(TestServer server)
        {
            var client = new HubClient(await WebSocketServer.ConnectAsync(server));
            await client.SendAsync(HubRecords.Handshake);
            Assert.Equal("{}", (await client.ReceiveAsync()).GetRawText());
            return client;
        }

        internal Task SendAsync(params string[] records) =>
            socket.SendAsync(HubRecords.Encode(records), WebSocketMessageType.Text, endOfMessage: true, default).InTime();

        internal async Task<JsonElement> ReceiveAsync()
        {
            JsonElement record;
            while (!_records.TryTake(out record))
            {
                _records.Add((await WebSocketServer.ReceiveMessageAsync(socket).InTime()).Message);
            }

            return record;
        }

        public void Dispose() => socket.Dispose();
    }
}
