using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>
/// Nothing is allocated for a round trip anywhere in the process once the connections are warm: not by the workers, not by the monitor that
/// watches them, not on the thread pool. Alone, because others' allocations cannot be told apart.
/// </summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class ConnectionAllocationTests
{
    private const int WarmUp = 3_000;
    private const int RoundTrips = 10_000;
    private const int Attempts = 3;

    // An object takes 24 bytes at least. What is left is the runtime's own, once in a while.
    private const int Allowed = 8;

    public static TheoryData<ApplicationScheduling, int, int> Settings =>
        new MatrixTheoryData<ApplicationScheduling, int, int>(Enum.GetValues<ApplicationScheduling>(), [1, 2], [1, 8]);

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task An_echo_allocates_nothing(ApplicationScheduling scheduling, int workers, int connections)
    {
        using var logs = new LogCollector();
        var options = new NetpollTransportOptions { WorkerCount = workers, WorkerGroupCount = 1, ApplicationScheduling = scheduling };
        await using var factory = new NetpollTransportFactory(
            Options.Create(options), logs, new RecyclingPool(), new PlatformSupport());
        IConnectionListener listener = await factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        var clients = new Socket[connections];
        var echoes = new Task[connections];
        for (int i = 0; i < connections; i++)
        {
            clients[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

            // Not asynchronously: that would make it, and every later call, a different one, which allocates.
            clients[i].Connect(listener.EndPoint);
            clients[i].ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds;
            ConnectionContext connection = (await listener.AcceptAsync().InTime())!;
            echoes[i] = Task.Run(() => EchoAsync(connection));
        }

        long allocated = await Task.Run(() =>
        {
            byte[] buffer = new byte[1_000];
            Converse(clients, buffer, WarmUp);

            // What other tests have left behind may allocate meanwhile; what an echo allocates, it allocates each time.
            long least = long.MaxValue;
            for (int i = 0; i < Attempts && least >= Allowed * RoundTrips; i++)
            {
                long before = GC.GetTotalAllocatedBytes(precise: true);
                Converse(clients, buffer, RoundTrips);
                least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
            }

            return least;
        });
        foreach (Socket client in clients)
        {
            client.Dispose();
        }

        await Task.WhenAll(echoes).InTime();

        Assert.True(allocated < Allowed * RoundTrips, $"{allocated} bytes for {RoundTrips} round trips");
    }

    // All ask, then all read: the workers have several connections to serve at once.
    private static void Converse(Socket[] clients, byte[] buffer, int roundTrips)
    {
        for (int done = 0; done < roundTrips; done += clients.Length)
        {
            foreach (Socket client in clients)
            {
                client.Send(buffer);
            }

            foreach (Socket client in clients)
            {
                for (int received = 0; received < buffer.Length;)
                {
                    int count = client.Receive(buffer.AsSpan(received));
                    Assert.True(count > 0, "The connection ended.");
                    received += count;
                }
            }
        }
    }

    private static async Task EchoAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        PipeWriter output = connection.Transport.Output;
        while (true)
        {
            ReadResult result = await input.ReadAsync();
            if (result.Buffer.IsEmpty && result.IsCompleted)
            {
                break;
            }

            foreach (ReadOnlyMemory<byte> segment in result.Buffer)
            {
                output.Write(segment.Span);
            }

            input.AdvanceTo(result.Buffer.End);
            await output.FlushAsync();
        }

        await connection.DisposeAsync();
    }
}
