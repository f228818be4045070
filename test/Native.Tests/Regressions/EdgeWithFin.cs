using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// Data and FIN can arrive in one edge. A reader that takes a short read as proof that the kernel is drained would then wait for an
/// edge that never comes; it may only do so while no hang-up was seen, and must see it in time.
/// </summary>
public sealed class EdgeWithFin
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task The_waiter_of_an_edge_with_FIN_sees_the_hangup(int workers)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _);
        ListenSocket listener = SocketPairs.Listen(runtime);
        byte[] buffer = new byte[64];
        for (int round = 0; round < 200; round++)
        {
            StreamSocket client = await ConnectOperation.ConnectAsync(runtime, listener.LocalEndPoint).InTime();
            SyscallResult accepted;
            StreamSocket? server;
            while ((accepted = listener.Accept(listener.Group, out server)).WouldBlock)
            {
                await listener.WaitReadableAsync().InTime();
            }

            // Both are there before the socket is registered: its first edge has both.
            Assert.True(accepted.IsSuccess);
            client.Send("hello"u8);
            client.ShutdownSend();
            Patience.Until(() => server!.Peek().Value == 1, "the data arrives");
            server!.Start();
            Assert.Equal(PollResult.Ready, await server.WaitReadableAsync().InTime());

            // What a reader with the shortcut does: stop after a short read, unless a hang-up was seen.
            int total = 0;
            bool ended = false;
            while (!ended)
            {
                SyscallResult received = server.Receive(buffer);
                if (received.WouldBlock || (received.Value is > 0 and < 64 && !server.HangupSeen))
                {
                    total += Math.Max(received.Value, 0);
                    await server.WaitReadableAsync().InTime();
                    continue;
                }

                Assert.True(received.IsSuccess);
                total += received.Value;
                ended = received.Value == 0;
            }

            Assert.Equal(5, total);
            Assert.True(server.HangupSeen);
            client.Close();
            server.Close();
        }

        listener.Close();
    }

    /// <summary>The hang-up is published before the waiter is released: in the waiter, it is there.</summary>
    [Fact]
    public void The_hangup_is_there_when_the_waiter_runs()
    {
        using EngineByHand engine = new();
        bool seen = false;
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file);
        CallbackTurn waiter = new(() =>
        {
            socket.EndWaitReadable();
            seen = socket.HangupSeen;
        });
        Assert.Equal(PollResult.Pending, socket.BeginWaitReadable(waiter));
        file.Feed(1, 2, 3);
        file.EndOfFile = true;
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLRDHUP);
        engine.RunToQuiescence();

        Assert.Equal(1, waiter.Runs);
        Assert.True(seen);
        Assert.Equal(3, socket.Receive(new byte[10]).Value);
        Assert.True(socket.Receive(new byte[10]) is { IsSuccess: true, Value: 0 });
        socket.Close();
    }

    [Fact]
    public void Without_a_hangup_a_short_read_is_the_end_of_what_there_is()
    {
        using EngineByHand engine = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file);
        file.Feed(1, 2, 3);
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT);
        engine.RunToQuiescence();
        Assert.False(socket.HangupSeen);
        socket.Close();
    }
}
