using System.IO.Pipelines;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>The kernel reports a reset once, to whoever calls first. If that was a send, a receive sees an ordinary end.</summary>
public sealed class ResetMetBySendTests
{
    [Fact]
    public async Task A_reset_is_logged_although_the_end_that_a_read_saw_has_closed_the_connection_before()
    {
        var systemCalls = new ResettingSystemCalls();
        await using TransportHarness harness = await TransportHarness.StartAsync(systemCalls);
        (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();

        // The edge that the reset would raise.
        await client.SendAsync("x");

        // As Kestrel does when a read has seen the end, while the send that has met the reset has not come back yet.
        systemCalls.BeforeSendFails = () =>
        {
            ReadResult read = connection.Transport.Input.ReadAsync().InTime().GetAwaiter().GetResult();
            Assert.True(read.IsCompleted);
            connection.Abort(null!);
        };
        Assert.True((await connection.Transport.Output.WriteAsync(new byte[100]).InTime()).IsCompleted);

        Assert.Single(harness.Logs.Of(TransportKind.Netpoll, 19));
        await connection.DisposeAsync().InTime();
        client.Dispose();
    }

    /// <summary>The kernel after a reset that the first send meets.</summary>
    private sealed class ResettingSystemCalls : SystemCalls
    {
        private volatile bool _reset;

        internal Action? BeforeSendFails { get; set; }

        protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags)
        {
            _reset = true;
            BeforeSendFails?.Invoke();
            return SyscallResult.Failure(Errno.ECONNRESET);
        }

        protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags) =>
            _reset ? SyscallResult.Success(0) : base.RecvOnce(fd, buffer, flags);
    }
}
