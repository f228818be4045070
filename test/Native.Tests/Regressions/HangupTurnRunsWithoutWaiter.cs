using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// A peer that leaves while nobody reads (back-pressure, a long handler) must be noticed all the same: golang/go#67337 is open
/// because Go's poller knows of it and tells nobody.
/// </summary>
public sealed class HangupTurnRunsWithoutWaiter
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_peer_that_leaves_is_noticed_though_nobody_waits(bool reset)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        for (int round = 0; round < 100; round++)
        {
            ListenSocket listener = SocketPairs.Listen(runtime);
            StreamSocket client = await ConnectOperation.ConnectAsync(runtime, listener.LocalEndPoint).InTime();
            SyscallResult accepted;
            StreamSocket? server;
            while ((accepted = listener.Accept(listener.Group, out server)).WouldBlock)
            {
                await listener.WaitReadableAsync().InTime();
            }

            CallbackTurn hangup = new();
            server!.SetHangupTurn(hangup);
            server.Start();
            client.Send([1, 2, 3]);
            Assert.Equal(0, hangup.Runs);
            client.Close(reset);

            Patience.Until(() => hangup.Runs == 1, "the hang-up turn runs");
            Assert.True(server.HangupSeen);
            server.Close();
            listener.Close();
        }
    }

    [Fact]
    public void FIN_and_then_RST_are_one_hangup()
    {
        using EngineByHand engine = new();
        CallbackTurn hangup = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file, hangup);
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT);
        engine.RunToQuiescence();
        Assert.Equal(0, hangup.Runs);
        Assert.False(socket.HangupSeen);

        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP);
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR);
        engine.RunToQuiescence();
        engine.Kernel.Raise(file.Fd, LibC.EPOLLHUP);
        engine.RunToQuiescence();

        Assert.Equal(1, hangup.Runs);
        Assert.True(socket.HangupSeen);
        socket.Close();
    }

    /// <summary>Each of two waiters of one event would take a worker.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public void A_reader_that_waits_is_woken_alone(bool waits, int expected)
    {
        using EngineByHand engine = new();
        CallbackTurn hangup = new();
        CallbackTurn reader = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file, hangup);
        if (waits)
        {
            Assert.Equal(PollResult.Pending, socket.BeginWaitReadable(reader));
        }

        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLRDHUP);
        engine.RunToQuiescence();
        Assert.Equal((1 - expected, expected), (reader.Runs, hangup.Runs));
        Assert.True(socket.HangupSeen);
        if (waits)
        {
            socket.EndWaitReadable();
        }

        socket.Close();
    }

    [Fact]
    public void A_hangup_that_was_fetched_before_the_close_is_not_reported_after_it()
    {
        using EngineByHand engine = new();
        CallbackTurn hangup = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file, hangup);
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLRDHUP);
        PollEvent fetched = Assert.Single(engine.Fetch());
        socket.Close();
        Assert.False(engine.Dispatch(fetched));
        engine.RunToQuiescence();
        Assert.Equal(0, hangup.Runs);
    }
}
