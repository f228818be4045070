using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>How clients of the old host are told that their connections end.</summary>
[OneMode]
public sealed class DrainTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task A_response_that_begins_after_the_hand_over_is_the_last_one_also_if_its_headers_were_cleared()
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer old = await _place.StartServingAsync(setup => setup.App = async context =>
        {
            busy.SetResult();
            await finish.Task;

            // As the middleware for exceptions does it.
            context.Response.Clear();
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
            await context.Response.WriteAsync("sorry");
        });
        using RawClient client = await old.ConnectAsync();
        await client.SendAsync(HandOverPlace.Request);
        await busy.Task.InTime();

        await using TestServer young = await StartNextAsync(old);
        finish.SetResult();

        RawResponse last = await client.ReadResponseAsync();
        Assert.Equal((500, "sorry", "close"), (last.Status, last.Text, last.Headers["Connection"]));
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await old.DrainedAsync();
    }

    [Fact]
    public async Task A_client_of_an_older_protocol_that_keeps_its_connection_is_told_too()
    {
        const string Request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        await using TestServer old = await _place.StartServingAsync(static setup => setup.App = static context =>
        {
            context.Response.ContentLength = 2;
            return context.Response.WriteAsync("hi");
        });
        using RawClient client = await old.ConnectAsync();
        await client.SendAsync(Request);
        Assert.Equal("keep-alive", (await client.ReadResponseAsync()).Headers["Connection"]);

        await using TestServer young = await StartNextAsync(old);
        await client.SendAsync(Request);

        Assert.Equal("close", (await client.ReadResponseAsync()).Headers["Connection"]);
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task A_connection_that_becomes_another_protocol_is_not_told()
    {
        await using TestServer old = await _place.StartServingAsync(static setup => setup.App = static async context =>
        {
            if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            {
                await using Stream stream = await upgrade.UpgradeAsync();
                await stream.WriteAsync("upgraded"u8.ToArray());
            }
        });
        using RawClient client = await old.ConnectAsync();
        await client.SendAsync(HandOverPlace.Request);
        Assert.Equal(200, (await client.ReadResponseAsync()).Status);

        await using TestServer young = await StartNextAsync(old);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");

        RawResponse switched = await client.ReadResponseAsync();
        Assert.Equal((101, "Upgrade"), (switched.Status, switched.Headers["Connection"]));
        Assert.Equal("upgraded", Encoding.ASCII.GetString((await client.ReadToEndAsync()).Bytes));
    }

    // The drain begins a moment after the new one may serve.
    private async Task<TestServer> StartNextAsync(TestServer old)
    {
        TestServer young = await _place.StartServingAsync();
        await Patience.UntilAsync(() => old.Factory!.HandOver!.IsDraining, "the old server drains");
        return young;
    }
}
