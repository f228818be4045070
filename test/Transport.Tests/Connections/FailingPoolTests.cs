using System.Buffers;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Connections;

[OneMode]
public class FailingPoolTests
{
    [Fact]
    public async Task An_exception_in_a_turn_ends_its_connection_and_nothing_else()
    {
        using var logs = new LogCollector();
        var pools = new FailingPools();
        await using var factory = new NetpollTransportFactory(
            Options.Create(new NetpollTransportOptions { WorkerCount = 1 }),
            logs, pools, new PlatformSupport());
        IConnectionListener listener = await factory.BindAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));

        using RawClient first = await RawClient.ConnectAsync(listener.EndPoint);
        await using ConnectionContext failing = (await listener.AcceptAsync().InTime())!;
        await first.SendAsync("x");
        pools.Failing = true;

        // From elsewhere than a worker, so that it is a turn that receives.
        Task reading = Task.Run(() => failing.Transport.Input.ReadAsync().AsTask());
        await Assert.ThrowsAnyAsync<Exception>(() => reading.InTime());
        Assert.Equal(PeerEnd.Reset, (await first.ReadToEndAsync()).End);
        LogEntry error = Assert.Single(logs.Above(LogLevel.Information));
        Assert.Equal((LogLevel.Error, 104), (error.Level, error.Id.Id));
        Assert.Contains(failing.ConnectionId, error.Message, StringComparison.Ordinal);

        pools.Failing = false;
        using RawClient second = await RawClient.ConnectAsync(listener.EndPoint);
        await using ConnectionContext working = (await listener.AcceptAsync().InTime())!;
        await second.SendAsync("x");
        Assert.Equal(1, (await working.Transport.Input.ReadAsync().InTime()).Buffer.Length);
    }

    [Fact]
    public async Task A_factory_of_pools_that_throws_leaves_no_engine_behind()
    {
        using var logs = new LogCollector();
        var kernel = new EngineCountingSystemCalls();
        await using var factory = new NetpollTransportFactory(
            Options.Create(new NetpollTransportOptions { WorkerCount = 1 }), logs, new NoPools(), new PlatformSupport(kernel));

        await Assert.ThrowsAsync<InsufficientMemoryException>(
            async () => await factory.BindAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)));

        Assert.NotEqual(0, kernel.Made);
        Assert.Equal(kernel.Made, kernel.Closed);
    }

    private sealed class NoPools : IMemoryPoolFactory<byte>
    {
        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => throw new InsufficientMemoryException("no pool today");
    }

    /// <summary>Counts epoll instances.</summary>
    private sealed class EngineCountingSystemCalls : SystemCalls
    {
        private readonly System.Collections.Concurrent.ConcurrentDictionary<int, bool> _open = new();
        private int _made;
        private int _closed;

        internal int Made => Volatile.Read(ref _made);

        internal int Closed => Volatile.Read(ref _closed);

        protected internal override SyscallResult EpollCreateOnce(int flags)
        {
            SyscallResult result = base.EpollCreateOnce(flags);
            _open[result.Value] = true;
            Interlocked.Increment(ref _made);
            return result;
        }

        protected internal override SyscallResult CloseOnce(int fd)
        {
            if (_open.TryRemove(fd, out _))
            {
                Interlocked.Increment(ref _closed);
            }

            return base.CloseOnce(fd);
        }
    }

    private sealed class FailingPools : MemoryPool<byte>, IMemoryPoolFactory<byte>
    {
        private volatile bool _failing;

        internal bool Failing
        {
            get => _failing;
            set => _failing = value;
        }

        public override int MaxBufferSize => Shared.MaxBufferSize;

        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => this;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1) =>
            _failing ? throw new InsufficientMemoryException("no blocks today") : Shared.Rent(minBufferSize);

        protected override void Dispose(bool disposing)
        {
        }
    }
}
