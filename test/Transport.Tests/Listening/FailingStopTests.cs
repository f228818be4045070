using System.Buffers;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Listening;

/// <summary>Whatever foreign code throws while the transport stops, the rest of the stop happens.</summary>
public class FailingStopTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_socket_that_cannot_be_disposed_of_stops_neither_its_endpoint_nor_the_transport(bool unbindFirst)
    {
        var options = new NetpollTransportOptions { WorkerCount = 1, CreateBoundListenSocket = CreateStubborn };
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task<ConnectionContext?> accepting = harness.Listener.AcceptAsync().AsTask();
        if (unbindFirst)
        {
            await harness.Listener.UnbindAsync().InTime();
            Assert.Null(await accepting.InTime());
            Assert.Empty(harness.Factory.EndPoints);
            Assert.False(connection.ConnectionClosed.IsCancellationRequested);
        }

        Task disposing = harness.Factory.DisposeAsync().AsTask();
        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        await connection.DisposeAsync().InTime();
        await disposing.InTime();

        Assert.Null(await accepting.InTime());
        Assert.Equal(0, harness.Factory.GetStatistics().Workers);
        Assert.Equal(1, harness.Pools.DisposedPools);
        Assert.Contains(
            harness.Logs.Above(LogLevel.Warning), static entry => entry.Id.Id == 113 && entry.Exception is InvalidOperationException { Message: "no" });
        client.Dispose();
    }

    [Fact]
    public async Task Pools_that_cannot_be_disposed_of_and_blocks_that_cannot_be_returned_do_not_stop_the_stop()
    {
        using var logs = new LogCollector();
        var pools = new StubbornPools();
        var factory = new NetpollTransportFactory(
            Options.Create(new NetpollTransportOptions { WorkerCount = 2, WorkerGroupCount = 2 }),
            logs, pools, new PlatformSupport(SystemCalls.Instance));
        IConnectionListener listener = await factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        List<(ConnectionContext Server, RawClient Client)> connections = [];
        for (int i = 0; i < 4; i++)
        {
            RawClient client = await RawClient.ConnectAsync(listener.EndPoint);
            ConnectionContext connection = (await listener.AcceptAsync().InTime())!;
            await Task.Yield();
            await client.SendAsync("x");
            await connection.Transport.Input.ReadAsync().InTime();

            // A block that nobody has advanced is given back by the end of the connection.
            connection.Transport.Output.GetMemory();
            connection.Transport.Output.Advance(1);
            connections.Add((connection, client));
        }

        pools.Failing = true;
        Task disposing = factory.DisposeAsync().AsTask();
        foreach ((ConnectionContext server, RawClient client) in connections)
        {
            Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
            await ((Task)server.DisposeAsync().AsTask()).InTime().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            client.Dispose();
        }

        await disposing.InTime();
        Assert.Equal(0, factory.GetStatistics().Workers);
        Assert.Equal(2, pools.Disposals);
        Assert.Equal(2, logs.Above(LogLevel.Warning).Count(static entry => entry.Id.Id == 113));
    }

    /// <summary>Kestrel's unbind waits for new connections that nobody reads from; a dispose that comes meanwhile does not want to.</summary>
    [Theory]
    [InlineData("unbind")]
    [InlineData("unbind later")]
    [InlineData("dispose")]
    public async Task An_unbind_that_waits_is_hurried_by_a_later_one(string later)
    {
        await using TransportHarness harness = await TransportHarness.StartAsync();
        harness.Factory.Context!.Services.Connections.FirstReadTimeout = TimeSpan.FromDays(1);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        Task first = harness.Listener.UnbindAsync().AsTask();
        Assert.Null(await harness.Listener.AcceptAsync().InTime());
        Assert.False(first.IsCompleted);

        using var hurry = new CancellationTokenSource();
        Task second = later == "dispose" ? harness.Listener.DisposeAsync().AsTask() : harness.Listener.UnbindAsync(hurry.Token).AsTask();
        if (later != "dispose")
        {
            await Task.Delay(later == "unbind" ? 0 : 50);
            Assert.False(second.IsCompleted);
            await hurry.CancelAsync();
        }

        await first.InTime();
        await second.InTime();
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    private static StubbornSocket CreateStubborn(EndPoint endPoint)
    {
        var socket = new StubbornSocket();
        socket.Bind(endPoint);
        return socket;
    }

    private sealed class StubbornSocket() : Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
    {
        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            if (disposing)
            {
                throw new InvalidOperationException("no");
            }
        }
    }

    private sealed class StubbornPools : IMemoryPoolFactory<byte>
    {
        private volatile bool _failing;
        private int _disposals;

        internal bool Failing
        {
            get => _failing;
            set => _failing = value;
        }

        internal int Disposals => Volatile.Read(ref _disposals);

        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new Pool(this);

        private sealed class Pool(StubbornPools pools) : MemoryPool<byte>
        {
            public override int MaxBufferSize => Shared.MaxBufferSize;

            public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => new Block(pools, Shared.Rent(minBufferSize));

            protected override void Dispose(bool disposing)
            {
                if (disposing)
                {
                    Interlocked.Increment(ref pools._disposals);
                    throw new InvalidOperationException("no");
                }
            }
        }

        private sealed class Block(StubbornPools pools, IMemoryOwner<byte> owner) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory => owner.Memory;

            public void Dispose()
            {
                owner.Dispose();
                if (pools.Failing)
                {
                    throw new InvalidOperationException("no");
                }
            }
        }
    }
}
