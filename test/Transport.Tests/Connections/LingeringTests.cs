using System.Buffers;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>A close must not destroy the response of a client that is still sending.</summary>
public class LingeringTests
{
    private static readonly byte[] Answer = [.. Enumerable.Repeat((byte)'a', 10_000)];

    [Fact]
    public async Task A_client_that_goes_on_sending_gets_the_whole_answer_and_a_FIN()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("some of it");
        Assert.False((await connection.Transport.Input.ReadAsync().InTime()).IsCompleted);

        // Not consumed: the application did not care for it.
        await AnswerAndDisposeAsync(connection);
        Assert.Equal(0, harness.Factory.GetStatistics().ActiveConnections);
        byte[] more = new byte[1024 * 1024];
        for (int i = 0; i < 10; i++)
        {
            await client.SendAsync(more);
        }

        (byte[] bytes, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Equal(Answer, bytes);
        Assert.Equal(PeerEnd.Fin, end);
        client.Dispose();
    }

    [Fact]
    public async Task What_is_still_in_the_kernel_counts_too()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("unread");

        await AnswerAndDisposeAsync(connection);
        await client.SendAsync(new byte[300_000]);

        (byte[] bytes, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Equal(Answer, bytes);
        Assert.Equal(PeerEnd.Fin, end);
        client.Dispose();
    }

    [Fact]
    public async Task Without_unread_input_the_descriptor_is_closed_at_once()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("x");
        ReadOnlySequence<byte> read = (await connection.Transport.Input.ReadAsync().InTime()).Buffer;
        connection.Transport.Input.AdvanceTo(read.End);

        await AnswerAndDisposeAsync(connection);

        Assert.Equal(0, Lingering(harness));
        Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        client.Dispose();
    }

    [Fact]
    public async Task A_client_that_never_finishes_is_given_up()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("unread");

        await AnswerAndDisposeAsync(connection);
        Assert.Equal(1, Lingering(harness));

        await Patience.UntilAsync(() => Lingering(harness) == 0, "it is given up");
        client.Dispose();
    }

    [Fact]
    public async Task A_client_that_leaves_ends_it()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        for (int i = 0; i < 2; i++)
        {
            (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
            await client.SendAsync("unread");
            await AnswerAndDisposeAsync(connection);
            if (i == 0)
            {
                client.Dispose();
            }
            else
            {
                client.Reset();
            }

            await Patience.UntilAsync(() => Lingering(harness) == 0, "it has ended");
        }
    }

    [Fact]
    public async Task Disposing_of_the_transport_closes_what_lingers()
    {
        TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        await client.SendAsync("unread");
        await AnswerAndDisposeAsync(connection);
        Assert.Equal(1, Lingering(harness));

        await harness.DisposeAsync();

        Assert.Equal(0, Lingering(harness));
        Assert.Equal(Answer, (await client.ReadToEndAsync()).Bytes);
        client.Dispose();
    }

    private static int Lingering(TransportHarness harness) => harness.Factory.LingeringConnections;

    private static async Task AnswerAndDisposeAsync(ConnectionContext connection)
    {
        await connection.Transport.Output.WriteAsync(Answer).InTime();
        await connection.DisposeAsync().InTime();
    }
}
