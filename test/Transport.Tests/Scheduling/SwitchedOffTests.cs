using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.WorkersOnly;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>
/// A part that its switch leaves out does nothing any more, where it does something otherwise. Switches are the whole process's.
/// </summary>
[OneMode]
[Collection(nameof(Alone))]
public sealed class SwitchedOffTests
{
    private const int Rounds = 100;

    /// <summary>A response in two pieces, after an await.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, Rounds * 7 / 4)]
    public Task Without_the_gather_meter_each_piece_is_sent_at_once(bool gathers, int leastSends) =>
        WithSwitchAsync(nameof(EngineParts.GatherMeter), gathers, async () =>
        {
            var kernel = new CountingKernel();
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, (TestServerSetup setup) =>
            {
                setup.SystemCalls = kernel;
                setup.App = static async context =>
                {
                    await Task.Yield();
                    await context.Response.WriteAsync("Hello");
                };
            });
            using RawClient client = await server.ConnectAsync();
            await GetAsync(client);
            long before = kernel.Counts.Sends;
            for (int i = 0; i < Rounds; i++)
            {
                await GetAsync(client);
            }

            Assert.InRange(kernel.Counts.Sends - before, leastSends, gathers ? Rounds * 3 / 2 : Rounds * 2);
        });

    /// <summary>A byte of a body at a time.</summary>
    [Theory]
    [InlineData(true, Rounds * 5 / 4)]
    [InlineData(false, int.MaxValue)]
    public Task Without_relays_a_read_of_a_body_is_more_than_one_turn(bool relays, int mostTurns) =>
        WithSwitchAsync(nameof(EngineParts.Relays), relays, async () =>
        {
            await using TestServer server = await WorkersOnlyServer.StartAsync(
                static async context =>
                {
                    await context.Response.Body.FlushAsync();
                    while (true)
                    {
                        ReadResult result = await context.Request.BodyReader.ReadAsync();
                        context.Request.BodyReader.AdvanceTo(result.Buffer.End);
                        if (result.IsCompleted)
                        {
                            break;
                        }

                        await context.Response.WriteAsync("x");
                        await context.Response.Body.FlushAsync();
                    }
                },
                workers: 1,
                configure: static setup => setup.Kestrel = static kestrel => kestrel.Limits.MinRequestBodyDataRate = null);
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
            while ((await client.ReadLineAsync()).Length != 0)
            {
            }

            await EchoAsync(client);
            long before = server.Factory!.GetStatistics().Turns;
            for (int i = 0; i < Rounds; i++)
            {
                await EchoAsync(client);
            }

            Assert.InRange(server.Factory!.GetStatistics().Turns - before, relays ? 1 : Rounds * 3 / 2, mostTurns);
        });

    private static async Task EchoAsync(RawClient client)
    {
        await client.SendAsync("y");

        // A chunk with one byte.
        await client.ReadExactlyAsync("1\r\nx\r\n".Length);
    }

    private static async Task GetAsync(RawClient client)
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.Equal("Hello", (await client.ReadResponseAsync()).Text);
    }

    private static async Task WithSwitchAsync(string part, bool isOn, Func<Task> test)
    {
        string name = EngineParts.SwitchPrefix + part;
        AppContext.SetSwitch(name, isOn);
        try
        {
            await test();
        }
        finally
        {
            // A switch cannot be taken away again.
            AppContext.SetSwitch(name, true);
        }
    }
}
