using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Sockets;

[Collection(nameof(Alone))]
public sealed class SocketLeakTests
{
    private const int Connections = 10_000;
    private const int AtOnce = 100;

    [Fact]
    public async Task Ten_thousand_connections_leave_nothing_behind()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        ListenSocket listener = SocketPairs.Listen(runtime);
        await OpenAndCloseAsync(runtime, listener, AtOnce);

        int descriptors = CountDescriptors();
        int slots = runtime.Groups[0].Poller.Table.OpenCount;
        int capacity = runtime.Groups[0].Poller.Table.Capacity;
        for (int done = 0; done < Connections; done += AtOnce)
        {
            await OpenAndCloseAsync(runtime, listener, AtOnce);
        }

        Assert.Equal(slots, runtime.Groups[0].Poller.Table.OpenCount);
        Assert.Equal(capacity, runtime.Groups[0].Poller.Table.Capacity);

        // Not at once: the runtime and the test framework open files of their own now and then.
        Patience.Until(() => CountDescriptors() <= descriptors, $"the process is back to {descriptors} descriptors");
        listener.Close();
    }

    private static async Task OpenAndCloseAsync(NetpollRuntime runtime, ListenSocket listener, int count)
    {
        List<StreamSocket> sockets = [];
        for (int i = 0; i < count; i++)
        {
            StreamSocket client = await ConnectOperation.ConnectAsync(runtime, listener.LocalEndPoint).InTime();
            StreamSocket server = await listener.AcceptAsync();
            await client.SendAllAsync(new byte[] { 1 });
            Assert.Equal(1, await server.ReceiveAsync(new byte[1]));
            sockets.Add(server);
            sockets.Add(client);
        }

        // A reset leaves no TIME_WAIT behind, of which ten thousand would eat up the ephemeral ports.
        foreach (StreamSocket socket in sockets)
        {
            socket.Close(reset: true);
        }

        foreach (StreamSocket socket in sockets)
        {
            await socket.CloseAsync().InTime();
        }
    }

    private static int CountDescriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Length;
}
