using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// Go's TestEndlessWrite: the peer has stopped sending and does not read. If RDHUP counted as writable, a writer that waits for room
/// would spin between EAGAIN and wake-up.
/// </summary>
public sealed class EndlessWrite
{
    [Fact]
    public async Task A_peer_that_stopped_sending_does_not_make_a_full_socket_writable()
    {
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _, systemCalls);
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(runtime);
        server.ShutdownSend();
        Patience.Until(() => client.HangupSeen, "the peer's FIN is seen");

        byte[] chunk = new byte[64 * 1024];
        long sent = 0;
        bool stop = false;
        Task writing = Task.Run(async () =>
        {
            while (!Volatile.Read(ref stop))
            {
                SyscallResult result = client.Send(chunk);
                if (result.WouldBlock)
                {
                    await client.WaitWritableAsync().InTime();
                    continue;
                }

                Assert.True(result.IsSuccess);
                Interlocked.Add(ref sent, result.Value);
            }
        });

        // The socket is full: a first EAGAIN. Then the workers are kept going for a while, in which a spinning writer would be seen.
        Patience.Until(() => systemCalls.WouldBlockSends > 0, "the socket is full");
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        byte[] one = new byte[1];
        for (int i = 0; i < 1000; i++)
        {
            await first.SendAllAsync(one);
            await second.ReceiveAsync(one);
        }

        Assert.InRange(systemCalls.WouldBlockSends, 1, 20);

        // Once the peer reads, it goes on.
        long before = Interlocked.Read(ref sent);
        while (Interlocked.Read(ref sent) == before)
        {
            server.Receive(chunk);
        }

        Volatile.Write(ref stop, true);
        while (!writing.IsCompleted)
        {
            server.Receive(chunk);
            await Task.Yield();
        }

        await writing;
        first.Close();
        second.Close();
        client.Close();
        server.Close();
    }

    [Fact]
    public void RDHUP_alone_leaves_the_writer_parked()
    {
        using EngineByHand engine = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file);
        CallbackTurn writer = new(() => socket.EndWaitWritable());
        CallbackTurn reader = new(() => socket.EndWaitReadable());
        Assert.Equal(PollResult.Pending, socket.BeginWaitWritable(writer));
        Assert.Equal(PollResult.Pending, socket.BeginWaitReadable(reader));

        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLRDHUP);
        engine.RunToQuiescence();
        Assert.Equal(0, writer.Runs);
        Assert.Equal(1, reader.Runs);

        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP);
        engine.RunToQuiescence();
        Assert.Equal(1, writer.Runs);
        socket.Close();
    }
}
