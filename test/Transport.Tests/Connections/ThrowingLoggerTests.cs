using System.Buffers;
using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>An application's logging that throws costs the log entry, and nothing else.</summary>
[OneMode]
public sealed class ThrowingLoggerTests : IAsyncLifetime
{
    private NetpollTransportFactory _factory = null!;
    private IConnectionListener _listener = null!;
    private RawClient _client = null!;
    private ConnectionContext _connection = null!;

    public async ValueTask InitializeAsync()
    {
        var options = new NetpollTransportOptions { WorkerCount = 1 };
        _factory = new NetpollTransportFactory(
            Options.Create(options), new ThrowingLogger(), null, new PlatformSupport());
        _listener = await _factory.BindAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        _client = await RawClient.ConnectAsync(_listener.EndPoint);
        _connection = (await _listener.AcceptAsync().InTime())!;
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync().InTime();
        _client.Dispose();
        await _factory.DisposeAsync().InTime();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_peers_end_reaches_the_application(bool reset)
    {
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _connection.ConnectionClosed.Register(closed.SetResult);
        Task<ReadResult> reading = _connection.Transport.Input.ReadAsync().AsTask();
        if (reset)
        {
            _client.Reset();
            await Assert.ThrowsAsync<ConnectionResetException>(() => reading.InTime());
        }
        else
        {
            _client.ShutdownSend();
            Assert.True((await reading.InTime()).IsCompleted);
        }

        await closed.Task.InTime();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_own_end_reaches_the_peer(bool abort)
    {
        if (abort)
        {
            _connection.Abort(new ConnectionAbortedException());
        }
        else
        {
            await _connection.DisposeAsync().InTime();
        }

        Assert.Equal(abort ? PeerEnd.Reset : PeerEnd.Fin, (await _client.ReadToEndAsync()).End);
    }

    [Fact]
    public async Task An_unexpected_exception_ends_its_connection_and_the_listener_goes_on()
    {
        ((NetpollConnection)_connection).OnUnexpectedException(new InvalidOperationException());
        Assert.Equal(PeerEnd.Reset, (await _client.ReadToEndAsync()).End);

        using RawClient second = await RawClient.ConnectAsync(_listener.EndPoint);
        await using ConnectionContext working = (await _listener.AcceptAsync().InTime())!;
        await second.SendAsync("x");
        Assert.Equal(1, (await working.Transport.Input.ReadAsync().InTime()).Buffer.Length);
    }

    private sealed class ThrowingLogger : ILogger, ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new InvalidOperationException("no log today");

        public void Dispose()
        {
        }
    }
}
