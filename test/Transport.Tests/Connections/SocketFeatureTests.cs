using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.Tests.Connections;

public class SocketFeatureTests
{
    [Fact]
    public async Task It_is_the_connections_socket()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();

        Socket socket = SocketOf(connection);

        Assert.Same(socket, SocketOf(connection));
        Assert.Equal(client.Socket.LocalEndPoint, socket.RemoteEndPoint);
        Assert.Equal(client.Socket.RemoteEndPoint, socket.LocalEndPoint);
        Assert.Equal((SocketType.Stream, ProtocolType.Tcp), (socket.SocketType, socket.ProtocolType));
        Assert.True(socket.NoDelay);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task Disposing_of_it_leaves_the_connection_alone()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();

        SocketOf(connection).Dispose();

        await client.SendAsync("x");
        Assert.Equal(1, (await connection.Transport.Input.ReadAsync().InTime()).Buffer.Length);
        await connection.Transport.Output.WriteAsync("y"u8.ToArray()).InTime();
        Assert.Equal("y"u8.ToArray(), await client.ReadExactlyAsync(1));
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    /// <summary>It would race with the connection's own.</summary>
    [Fact]
    public async Task It_neither_sends_nor_receives_synchronously()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Socket socket = SocketOf(connection);

        Assert.Throws<InvalidOperationException>(() => socket.Send("x"u8));
        await client.SendAsync("x");
        Assert.Throws<InvalidOperationException>(() => socket.Receive(new byte[1]));
        Assert.Equal(1, (await connection.Transport.Input.ReadAsync().InTime()).Buffer.Length);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_ends_with_the_connection_which_closes_the_descriptor(bool abort)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Socket socket = SocketOf(connection);
        int fd = (int)socket.Handle;

        if (abort)
        {
            connection.Abort(new ConnectionAbortedException());
        }

        await connection.DisposeAsync().InTime();

        Assert.Equal(abort ? PeerEnd.Reset : PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await Patience.UntilAsync(() => socket.SafeHandle.IsClosed, "the socket is disposed of");
        await Patience.UntilAsync(
            () => SystemCalls.Instance.GetPeerName(fd, stackalloc byte[0], out _).IsError || harness.Factory.GetStatistics().ActiveConnections == 0,
            "the descriptor is closed");
        Assert.Throws<ObjectDisposedException>(() => SocketOf(connection));
        client.Dispose();
    }

    [Fact]
    public async Task Asking_and_closing_at_once_leaks_nothing_and_reaches_no_stranger()
    {
        var kernel = new CountingSystemCalls();
        await using (TransportHarness harness = await TransportHarness.StartAsync(kernel))
        {
            for (int i = 0; i < 200; i++)
            {
                (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
                Task asking = Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
                {
                    try
                    {
                        return SocketOf(connection);
                    }
                    catch (ObjectDisposedException)
                    {
                        return null;
                    }
                })));
                await connection.DisposeAsync().InTime();
                await asking.InTime();
                client.Dispose();
            }

            await Patience.UntilAsync(() => kernel.Closed >= kernel.Accepted, "every accepted descriptor is closed");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_call_that_is_still_going_on_returns_and_the_peer_learns_of_the_end(bool abort)
    {
        var kernel = new CountingSystemCalls();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Socket socket = SocketOf(connection);
        using var inside = new ManualResetEventSlim();
        Task polling = Task.Factory.StartNew(
            () =>
            {
                inside.Set();
                try
                {
                    // The client says nothing and does not leave: without the connection's doing this would last for ever.
                    socket.Poll(Timeout.InfiniteTimeSpan, SelectMode.SelectRead);
                }
                catch (ObjectDisposedException)
                {
                    // It came too late.
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        inside.Wait();
        await Task.Delay(50);

        if (abort)
        {
            connection.Abort(new ConnectionAbortedException());
        }

        await connection.DisposeAsync().InTime();

        Assert.Equal(abort ? PeerEnd.Reset : PeerEnd.Fin, (await client.ReadToEndAsync()).End);
        await polling.InTime();
        await Patience.UntilAsync(() => kernel.Closed == 1, "the descriptor is closed");
        client.Dispose();
    }

    [Fact]
    public async Task The_number_is_kept_as_long_as_somebody_uses_it_and_no_thread_waits_for_that()
    {
        var kernel = new CountingSystemCalls();
        await using TransportHarness harness = await TransportHarness.StartAsync(kernel);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        SafeSocketHandle handle = SocketOf(connection).SafeHandle;
        bool entered = false;
        handle.DangerousAddRef(ref entered);

        await connection.DisposeAsync().InTime();

        // It has looked more than once, so none of its looks holds a thread until the user has left.
        await Patience.UntilAsync(() => kernel.Disconnected >= 3, "the user has been asked to leave");
        Assert.Equal(0, kernel.Closed);
        Assert.False(handle.IsClosed);

        handle.DangerousRelease();
        await Patience.UntilAsync(() => kernel.Closed == 1, "the descriptor is closed");
        client.Dispose();
    }

    [Fact]
    public async Task A_receive_that_somebody_has_begun_ends_with_the_connection()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task<int> receiving = SocketOf(connection).ReceiveAsync(new byte[1]);

        await connection.DisposeAsync().InTime();

        await Assert.ThrowsAsync<SocketException>(() => receiving.InTime());
        client.Dispose();
    }

    private static Socket SocketOf(NetpollConnection connection) =>
        connection.Features.Get<IConnectionSocketFeature>()!.Socket;

    private sealed class CountingSystemCalls : SystemCalls
    {
        private readonly HashSet<int> _open = [];
        private int _accepted;
        private int _closed;
        private int _disconnected;

        internal int Accepted => Volatile.Read(ref _accepted);

        internal int Closed => Volatile.Read(ref _closed);

        internal int Disconnected => Volatile.Read(ref _disconnected);

        protected internal override SyscallResult ShutdownOnce(int fd, int how)
        {
            if (how == LibC.SHUT_RDWR)
            {
                Interlocked.Increment(ref _disconnected);
            }

            return base.ShutdownOnce(fd, how);
        }

        protected internal override SyscallResult Accept4Once(int fd, Span<byte> address, out int addressLength, int flags)
        {
            lock (_open)
            {
                SyscallResult result = base.Accept4Once(fd, address, out addressLength, flags);
                if (result.IsSuccess)
                {
                    _accepted++;
                    _open.Add(result.Value);
                }

                return result;
            }
        }

        protected internal override SyscallResult CloseOnce(int fd)
        {
            lock (_open)
            {
                _closed += _open.Remove(fd) ? 1 : 0;
                return base.CloseOnce(fd);
            }
        }
    }
}
