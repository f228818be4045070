using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class StreamSocketTests : IDisposable
{
    private readonly ObservedKernel _systemCalls = new();
    private readonly NetpollRuntime _runtime;

    public StreamSocketTests() => _runtime = WorkerThreads.CreateRuntime(2, out _, _systemCalls);

    public void Dispose()
    {
        _runtime.Dispose();
        Assert.Empty(_systemCalls.Violations);
        Assert.Empty(_systemCalls.OpenDescriptors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Both_ends_know_both_addresses(bool ipv6)
    {
        (StreamSocket client, StreamSocket server) =
            await SocketPairs.ConnectAsync(_runtime, ipv6 ? SocketPairs.AnyPortV6 : SocketPairs.AnyPortV4);

        Assert.Equal(client.GetLocalEndPoint(), server.RemoteEndPoint);
        Assert.Equal(server.GetLocalEndPoint(), client.RemoteEndPoint);
        Assert.NotEqual(client.GetLocalEndPoint(), server.GetLocalEndPoint());

        client.Close();
        server.Close();
        Assert.Null(client.GetLocalEndPoint());
        Assert.NotNull(client.RemoteEndPoint);
    }

    [Fact]
    public async Task After_a_close_every_call_says_so()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        await client.CloseAsync();
        await server.CloseAsync();

        byte[] buffer = new byte[1];
        Assert.Equal(Errno.EBADF, client.Receive(buffer).Errno);
        Assert.Equal(Errno.EBADF, client.Send(buffer).Errno);
        Assert.Equal(PollResult.Closing, client.BeginWaitReadable(new CallbackTurn()));
        Assert.Equal(PollResult.Closing, client.BeginWaitWritable(new CallbackTurn()));
        client.WakeReader();
        client.WakeWriter();
        client.ShutdownSend();
        client.Close();
        client.Close(reset: true);
        await client.CloseAsync();
        Assert.True(client.IsClosed);
    }

    [Fact]
    public async Task Shutting_down_the_sending_side_ends_the_peers_stream_and_no_more()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        client.ShutdownSend();
        byte[] buffer = new byte[1];
        Assert.Equal(0, await server.ReceiveAsync(buffer));
        await server.SendAllAsync(new byte[] { 5 });
        Assert.Equal(1, await client.ReceiveAsync(buffer));
        Assert.Equal(Errno.EPIPE, client.Send(buffer).Errno);
        Patience.Until(() => server.HangupSeen, "the event is dispatched");
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task A_reset_reaches_the_peer_as_one()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        server.Close(reset: true);

        byte[] buffer = new byte[1];
        SyscallResult received;
        while ((received = client.Receive(buffer)).WouldBlock)
        {
            await client.WaitReadableAsync().InTime();
        }

        Assert.Equal(Errno.ECONNRESET, received.Errno);
        Patience.Until(() => client.HangupSeen, "the event is dispatched");
        client.Close();
    }

    [Fact]
    public async Task A_look_for_input_sees_bytes_the_end_and_a_reset_and_takes_nothing_away()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        byte[] buffer = new byte[2];
        Assert.False(client.HasInput());
        await server.SendAllAsync(new byte[] { 5 });
        Patience.Until(client.HasInput, "the byte is there");
        Assert.Equal(1, client.Receive(buffer).Value);
        Assert.False(client.HasInput());
        server.Close(reset: true);
        Patience.Until(client.HasInput, "the reset is there");
        Assert.True(client.HasInput());
        Assert.Equal(Errno.ECONNRESET, client.Receive(buffer).Errno);
        Assert.True(client.HasInput());
        Assert.Equal(0, client.Receive(buffer).Value);
        client.Close();
    }

    [Fact]
    public async Task A_close_without_reset_is_an_orderly_end()
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(_runtime);
        server.Close(reset: false);
        Assert.Equal(0, await client.ReceiveAsync(new byte[1]));
        client.Close();
    }

    [Fact]
    public void A_second_waiter_in_one_direction_is_refused()
    {
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(_runtime);
        CallbackTurn reader = new(() => first.EndWaitReadable());
        Assert.Equal(PollResult.Pending, first.BeginWaitReadable(reader));
        Assert.Throws<InvalidOperationException>(() => first.BeginWaitReadable(new CallbackTurn()));

        // The first one has not been disturbed.
        second.Send([1]);
        Patience.Until(() => reader.Runs == 1, "the reader runs");
        first.Close();
        second.Close();
    }

    [Fact]
    public void A_socket_that_was_not_started_cannot_wait()
    {
        (StreamSocket first, StreamSocket second) = SocketPairs.Create(_runtime);
        Assert.Throws<InvalidOperationException>(() => first.BeginWaitReadable(new CallbackTurn()));
        Assert.False(first.IsRegistered);
        Assert.False(first.HangupSeen);
        first.WakeReader();
        first.Close();
        second.Close();
    }

    [Fact]
    public async Task A_wake_up_before_the_wait_is_kept_for_it()
    {
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(_runtime);
        CallbackTurn never = new();
        first.WakeReader();
        first.WakeReader();
        Assert.Equal(PollResult.Ready, first.BeginWaitReadable(never));

        Task<PollResult> waiting = first.WaitReadableAsync();
        Assert.False(waiting.IsCompleted);
        first.WakeReader();
        Assert.Equal(PollResult.Ready, await waiting.InTime());
        Assert.Equal(0, never.Runs);
        first.Close();
        second.Close();
    }

    [Fact]
    public void Waiters_run_on_a_worker_of_the_group()
    {
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(_runtime);
        bool onWorker = false;
        CallbackTurn waiter = new(() =>
        {
            first.EndWaitReadable();
            Volatile.Write(ref onWorker, first.Group.IsWorkerThread);
        });
        first.BeginWaitReadable(waiter);
        second.Send([1]);
        Patience.Until(() => Volatile.Read(ref onWorker), "the waiter has run on a worker");
        first.Close();
        second.Close();
    }

    /// <summary>The reader and the writer of one socket wait independently.</summary>
    [Fact]
    public async Task A_full_socket_is_still_readable()
    {
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(_runtime);
        byte[] chunk = new byte[64 * 1024];
        while (!first.Send(chunk).WouldBlock)
        {
        }

        Task writable = Task.Run(async () =>
        {
            SyscallResult sent;
            while ((sent = first.Send(chunk)).WouldBlock)
            {
                await first.WaitWritableAsync().InTime();
            }

            Assert.True(sent.IsSuccess);
        });
        second.Send([9]);
        Assert.Equal(1, await first.ReceiveAsync(chunk));
        Assert.False(writable.IsCompleted);

        while (second.Receive(chunk).IsSuccess)
        {
        }

        await writable.InTime();
        first.Close();
        second.Close();
    }
}
