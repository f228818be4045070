using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class ConnectOperationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nobody_listens(bool ipv6)
    {
        ObservedKernel systemCalls = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls))
        {
            ListenSocket listener = SocketPairs.Listen(runtime, ipv6 ? SocketPairs.AnyPortV6 : SocketPairs.AnyPortV4);
            EndPoint endPoint = listener.LocalEndPoint;
            await listener.CloseAsync();

            SocketException exception = await Assert.ThrowsAsync<SocketException>(
                () => ConnectOperation.ConnectAsync(runtime, endPoint).InTime());
            Assert.Equal(SocketError.ConnectionRefused, exception.SocketErrorCode);
        }

        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>A backlog of nothing, filled: the kernel drops further handshakes, and the connect stays under way.</summary>
    [Fact]
    public async Task An_attempt_can_be_cancelled()
    {
        ObservedKernel systemCalls = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls))
        {
            ListenSocket listener = SocketPairs.Listen(runtime, backlog: 0);
            List<StreamSocket> accepted = [];
            using CancellationTokenSource cancellation = new();
            List<Task<StreamSocket>> attempts = [];
            for (int i = 0; i < 4; i++)
            {
                attempts.Add(ConnectOperation.ConnectAsync(runtime, listener.LocalEndPoint, cancellation.Token).AsTask());
            }

            accepted.Add(await await Task.WhenAny(attempts).InTime());
            Task<StreamSocket>[] pending = [.. attempts.Where(attempt => !attempt.IsCompleted)];
            await cancellation.CancelAsync();
            int cancelled = 0;
            foreach (Task<StreamSocket> attempt in pending)
            {
                try
                {
                    accepted.Add(await attempt.InTime());
                }
                catch (OperationCanceledException exception)
                {
                    Assert.Equal(cancellation.Token, exception.CancellationToken);
                    cancelled++;
                }
            }

            Assert.True(cancelled > 0, "no attempt was under way when the token was cancelled");
            foreach (StreamSocket socket in attempts.Where(attempt => attempt.IsCompletedSuccessfully).Select(attempt => attempt.Result))
            {
                socket.Close();
            }

            listener.Close();
        }

        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    [Fact]
    public async Task A_token_that_is_cancelled_already_leaves_nothing_open()
    {
        SimulatedKernel kernel = new() { PeerNameError = Errno.ENOTCONN };
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, kernel))
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => ConnectOperation.ConnectAsync(runtime, SocketPairs.AnyPortV4, new CancellationToken(canceled: true)).InTime());
            Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
        }

        Assert.Equal(0, kernel.OpenDescriptors);
    }

    /// <summary>An event may have been meant for the slot's previous file: writable is not connected (golang/go#14548).</summary>
    [Fact]
    public async Task A_spurious_event_does_not_complete_it()
    {
        SimulatedKernel kernel = new() { PeerNameError = Errno.ENOTCONN };
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, kernel);
        Task<StreamSocket> connecting = ConnectOperation.ConnectAsync(runtime, SocketPairs.AnyPortV4).AsTask();
        int fd = kernel.Find("socket").Fd;
        for (int i = 1; i <= 10; i++)
        {
            long before = runtime.GetStatistics().Turns;
            kernel.Raise(fd, LibC.EPOLLOUT);
            Patience.Until(() => runtime.GetStatistics().Turns > before, "the operation has looked");
            Assert.False(connecting.IsCompleted);
        }

        kernel.PeerNameError = Errno.Success;
        kernel.Raise(fd, LibC.EPOLLOUT);
        StreamSocket socket = await connecting.InTime();
        Assert.Equal(fd, socket.Fd);
        socket.Close();
    }

    [Theory]
    [InlineData((int)Errno.ECONNREFUSED, SocketError.ConnectionRefused)]
    [InlineData((int)Errno.ETIMEDOUT, SocketError.TimedOut)]
    [InlineData((int)Errno.EHOSTUNREACH, SocketError.HostUnreachable)]
    public async Task The_sockets_own_error_is_reported(int error, SocketError expected)
    {
        SimulatedKernel kernel = new() { PeerNameError = Errno.ENOTCONN };
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, kernel))
        {
            Task<StreamSocket> connecting = ConnectOperation.ConnectAsync(runtime, SocketPairs.AnyPortV4).AsTask();
            int fd = kernel.Find("socket").Fd;
            kernel.SocketError = (Errno)error;
            kernel.Raise(fd, LibC.EPOLLOUT | LibC.EPOLLIN | LibC.EPOLLERR | LibC.EPOLLHUP);
            SocketException exception = await Assert.ThrowsAsync<SocketException>(() => connecting.InTime());
            Assert.Equal(expected, exception.SocketErrorCode);
        }

        Assert.Equal(0, kernel.OpenDescriptors);
    }

    /// <summary>Cancelled at the moment of success: either outcome is right, and a socket nobody gets is closed.</summary>
    [Fact]
    public void Cancelling_and_connecting_at_once()
    {
        SimulatedKernel kernel = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, kernel))
        {
            CancellationTokenSource cancellation = null!;
            Task<StreamSocket> connecting = null!;
            int fd = 0;
            int succeeded = 0;
            Rendezvous.Race(
                rounds: 2000,
                prepare: _ =>
                {
                    kernel.PeerNameError = Errno.ENOTCONN;
                    cancellation = new CancellationTokenSource();
                    connecting = ConnectOperation.ConnectAsync(runtime, SocketPairs.AnyPortV4, cancellation.Token).AsTask();
                    fd = kernel.Find("socket").Fd;
                },
                mine: _ => cancellation.Cancel(),
                other: _ =>
                {
                    kernel.PeerNameError = Errno.Success;
                    kernel.Raise(fd, LibC.EPOLLOUT);
                },
                check: _ =>
                {
                    try
                    {
                        connecting.WaitAsync(Patience.Limit).GetAwaiter().GetResult().Close();
                        succeeded++;
                    }
                    catch (OperationCanceledException)
                    {
                    }

                    Patience.Until(() => runtime.GetStatistics().OpenDescriptors == 0, "the socket is closed");
                    cancellation.Dispose();
                });
            TestContext.Current.TestOutputHelper?.WriteLine($"{succeeded} of 2000 connected");
        }

        Assert.Equal(0, kernel.OpenDescriptors);
    }
}
