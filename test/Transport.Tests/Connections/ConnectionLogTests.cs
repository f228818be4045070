using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>The events of the Sockets transport that operators filter by and that are about the flow of data: paused, resumed, failed.</summary>
public sealed class ConnectionLogTests
{
    private const int Paused = 4;
    private const int Resumed = 5;
    private const int Failed = 14;

    private const int Limit = 4096;

    [Fact]
    public async Task A_full_buffer_is_logged_and_so_is_that_there_is_room_again()
    {
        NetpollTransportOptions options = new() { MaxReadBufferSize = Limit };
        SuiteSettings.Begin(options);
        options.WorkerCount = SuiteSettings.TwoWorkersForEachGroup;
        SuiteSettings.Complete(options);
        await using TransportHarness harness = await TransportHarness.StartAsync(options: options);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        PipeReader input = connection.Transport.Input;

        await client.SendAsync(new byte[Limit - 1]);
        await ConsumeAsync(input, Limit - 1);
        Assert.Empty(Logged(harness, Paused));
        Assert.Empty(Logged(harness, Resumed));

        // More than fits, and nobody has examined it yet.
        await client.SendAsync(new byte[2 * Limit]);
        ReadResult read = await input.ReadAsync().InTime();
        Assert.Equal(Limit, read.Buffer.Length);
        AssertOne(Logged(harness, Paused), "ConnectionPause", connection);
        Assert.Empty(Logged(harness, Resumed));
        input.AdvanceTo(read.Buffer.End);
        AssertOne(Logged(harness, Resumed), "ConnectionResume", connection);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    [Fact]
    public async Task A_receive_that_fails_otherwise_than_by_a_reset_is_a_communication_error()
    {
        FailingSystemCalls systemCalls = new();
        await using TransportHarness harness = await TransportHarness.StartAsync(systemCalls);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();
        systemCalls.Failure = Errno.ETIMEDOUT;
        await client.SendAsync(new byte[1]);
        SocketException thrown = await Assert.ThrowsAsync<SocketException>(() => connection.Transport.Input.ReadAsync().InTime());

        await Patience.UntilAsync(() => Logged(harness, Failed).Any(), "the error is logged");
        AssertOne(Logged(harness, Failed), "ConnectionError", connection);
        Assert.Same(thrown, Logged(harness, Failed).Single().Exception);
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    private static IEnumerable<LogEntry> Logged(TransportHarness harness, int id) => harness.Logs.Of(TransportKind.Netpoll, id);

    private static void AssertOne(IEnumerable<LogEntry> entries, string name, NetpollConnection connection)
    {
        LogEntry entry = Assert.Single(entries);
        Assert.Equal((LogLevel.Debug, name), (entry.Level, entry.Id.Name));
        Assert.Contains(connection.ConnectionId, entry.Message, StringComparison.Ordinal);
    }

    private static async Task ConsumeAsync(PipeReader input, int count)
    {
        while (count > 0)
        {
            ReadResult read = await input.ReadAsync().InTime();
            count -= (int)read.Buffer.Length;
            input.AdvanceTo(read.Buffer.End);
        }
    }

    private sealed class FailingSystemCalls : SystemCalls
    {
        private volatile int _failure;

        internal Errno Failure
        {
            set => _failure = (int)value;
        }

        protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags) =>
            _failure != 0 ? SyscallResult.Failure((Errno)_failure) : base.RecvOnce(fd, buffer, flags);
    }
}
