using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>SignalR over plain requests: a poll that waits for what the server has to say, and posts for what the client has.</summary>
public class SignalRLongPollingTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_client_negotiates_polls_sends_and_leaves(TransportKind kind)
    {
        await using TestServer server = await TestHub.StartAsync(kind);
        HubPresence presence = server.Services.GetRequiredService<HubPresence>();
        using HttpClient client = HttpClients.Create(server, "1.1");

        using HttpResponseMessage negotiated = await client.PostAsync("/hub/negotiate?negotiateVersion=1", null).InTime();
        JsonElement answer = await negotiated.Content.ReadFromJsonAsync<JsonElement>().InTime();
        Assert.Contains("LongPolling", answer.GetProperty("availableTransports").GetRawText(), StringComparison.Ordinal);
        string uri = $"/hub?id={Uri.EscapeDataString(answer.GetProperty("connectionToken").GetString()!)}";
        var records = new HubRecords();

        // The first poll opens the connection and is answered at once, with nothing.
        Assert.Equal(HttpStatusCode.OK, await PollAsync(client, uri, records));
        await SendAsync(client, uri, HubRecords.Handshake);
        Assert.Equal("{}", (await ReceiveAsync(client, uri, records)).GetRawText());

        for (int i = 0; i < 20; i++)
        {
            // The poll is under way before, or after, there is anything to fetch.
            Task<JsonElement>? early = i % 2 == 0 ? ReceiveAsync(client, uri, records) : null;
            await SendAsync(client, uri, HubRecords.Invocation($"{i}", "Repeat", "x", i * 50));
            JsonElement completion = await (early ?? ReceiveAsync(client, uri, records)).InTime();
            Assert.Equal(i * 50, completion.GetProperty("result").GetString()!.Length);
        }

        Task<HttpStatusCode> poll = PollAsync(client, uri, records);
        using HttpResponseMessage left = await client.DeleteAsync(uri).InTime();
        Assert.Equal(HttpStatusCode.Accepted, left.StatusCode);

        // The last thing to fetch may be the farewell. After it there is nothing (NoContent), and soon not even a connection (NotFound).
        HttpStatusCode last = await poll.InTime();
        while (last == HttpStatusCode.OK)
        {
            last = await PollAsync(client, uri, records);
        }

        Assert.Contains(last, (HttpStatusCode[])[HttpStatusCode.NoContent, HttpStatusCode.NotFound]);
        Assert.Equal(answer.GetProperty("connectionId").GetString(), await presence.NextToLeaveAsync());
        Assert.Empty(server.Logs.Above(LogLevel.Information));
    }

    private static async Task SendAsync(HttpClient client, string uri, string record)
    {
        using HttpResponseMessage response = await client.PostAsync(uri, new ByteArrayContent(HubRecords.Encode(record))).InTime();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static async Task<JsonElement> ReceiveAsync(HttpClient client, string uri, HubRecords records)
    {
        JsonElement record;
        while (!records.TryTake(out record))
        {
            Assert.Equal(HttpStatusCode.OK, await PollAsync(client, uri, records));
        }

        return record;
    }

    private static async Task<HttpStatusCode> PollAsync(HttpClient client, string uri, HubRecords records)
    {
        using HttpResponseMessage response = await client.GetAsync(uri).InTime();
        records.Add(await response.Content.ReadAsByteArrayAsync().InTime());
        return response.StatusCode;
    }
}
