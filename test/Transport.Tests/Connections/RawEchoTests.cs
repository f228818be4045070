using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Connections;

public class RawEchoTests
{
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_connection_handler_echoes_what_it_gets_until_the_peer_has_finished(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Endpoint = options => options.Run(EchoAsync));
        byte[] content = RandomNumberGenerator.GetBytes(4 * 1024 * 1024);

        using RawClient client = await server.ConnectAsync();
        Task<byte[]> reading = Task.Run(() => client.ReadExactlyAsync(content.Length));
        await client.SendAsync(content);
        byte[] echoed = await reading.InTime();
        Assert.True(content.AsSpan().SequenceEqual(echoed));

        client.ShutdownSend();
        (byte[] rest, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Empty(rest);
        Assert.Equal(PeerEnd.Fin, end);
        await server.Pools.AllReturnedAsync();
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_handler_that_throws_closes_its_connection_and_no_other(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Endpoint = options => options.Run(async connection =>
        {
            ReadResult result = await connection.Transport.Input.ReadAsync();
            if (result.Buffer.FirstSpan[0] == (byte)'!')
            {
                throw new InvalidOperationException("from the handler");
            }

            connection.Transport.Input.AdvanceTo(result.Buffer.Start);
            await EchoAsync(connection);
        }));
        using RawClient good = await server.ConnectAsync();
        await good.SendAsync("1");
        Assert.Equal("1"u8.ToArray(), await good.ReadExactlyAsync(1));

        using RawClient bad = await server.ConnectAsync();
        await bad.SendAsync("!");
        await bad.ReadToEndAsync();

        await good.SendAsync("2");
        Assert.Equal("2"u8.ToArray(), await good.ReadExactlyAsync(1));
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task The_peer_learns_at_once_that_the_application_has_completed_its_output(TransportKind kind)
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, setup => setup.Endpoint = options => options.Run(async connection =>
        {
            await connection.Transport.Output.WriteAsync("all of it"u8.ToArray());
            await connection.Transport.Output.CompleteAsync();
            await finish.Task;
        }));
        using RawClient client = await server.ConnectAsync();

        (byte[] bytes, PeerEnd end) = await client.ReadToEndAsync();

        finish.SetResult();
        Assert.Equal("all of it"u8.ToArray(), bytes);
        Assert.Equal(PeerEnd.Fin, end);
    }

    private static async Task EchoAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        PipeWriter output = connection.Transport.Output;
        while (true)
        {
            ReadResult result = await input.ReadAsync();
            await output.WriteAsync(result.Buffer.ToArray());
            input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }
}
