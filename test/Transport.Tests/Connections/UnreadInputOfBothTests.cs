using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>Both transports take in what a client sends, up to their limit, while the application does not read.</summary>
public class UnreadInputOfBothTests
{
    private const int Paused = 4;
    private const int Resumed = 5;

    /// <summary>Far more than the kernel's buffers, so that it must be the transport that has taken it.</summary>
    private const int Limit = 8 * 1024 * 1024;

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task What_a_client_sends_is_taken_in_up_to_the_limit_and_the_log_says_so(TransportKind kind)
    {
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            SetLimit(setup, Limit);
            setup.Endpoint = options => options.Run(async connection =>
            {
                await read.Task;
                await EchoCountAsync(connection);
            });
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(new byte[Limit]).InTime();
        await Patience.UntilAsync(() => server.Logs.Of(kind, Paused).Any(), "the pause is logged");
        Assert.Single(server.Logs.Of(kind, Paused));
        Assert.Empty(server.Logs.Of(kind, Resumed));

        read.SetResult();
        client.ShutdownSend();
        (byte[] answer, PeerEnd end) = await client.ReadToEndAsync();
        Assert.Equal($"{Limit}", Encoding.ASCII.GetString(answer));
        Assert.Equal(PeerEnd.Fin, end);
        await Patience.UntilAsync(() => server.Logs.Of(kind, Resumed).Any(), "the end of the pause is logged");
    }

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Without_a_limit_everything_is_taken_in(TransportKind kind)
    {
        const int Sent = 40 * 1024 * 1024;
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            SetLimit(setup, null);
            setup.Endpoint = options => options.Run(async connection =>
            {
                await read.Task;
                await EchoCountAsync(connection);
            });
        });
        using RawClient client = await server.ConnectAsync();

        await client.SendAsync(new byte[Sent]).InTime();
        read.SetResult();
        client.ShutdownSend();
        (byte[] answer, _) = await client.ReadToEndAsync();
        Assert.Equal($"{Sent}", Encoding.ASCII.GetString(answer));
        Assert.Empty(server.Logs.Of(kind, Paused));
    }

    private static void SetLimit(TestServerSetup setup, long? limit)
    {
        setup.Netpoll = options => options.MaxReadBufferSize = limit;
        setup.Services = services => services.Configure<SocketTransportOptions>(options => options.MaxReadBufferSize = limit);
    }

    private static async Task EchoCountAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        long count = 0;
        while (true)
        {
            ReadResult result = await input.ReadAsync();
            count += result.Buffer.Length;
            input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes($"{count}"));
                return;
            }
        }
    }
}
