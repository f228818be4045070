using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class SocketCloseTests
{
    /// <summary>Two closers, a waker and the peer's bytes, against a parked reader and a parked writer: each runs exactly once.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_close_releases_both_waiters_exactly_once(int workers)
    {
        ObservedKernel systemCalls = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls))
        {
            StreamSocket first = null!, second = null!;
            CallbackTurn reader = null!, writer = null!;
            PollResult readerResult = default, writerResult = default;
            byte[] one = [1];
            Rendezvous.Race(
                rounds: 1000,
                prepare: _ =>
                {
                    (first, second) = SocketPairs.CreateStarted(runtime);
                    StreamSocket socket = first;
                    reader = new CallbackTurn(() => readerResult = socket.EndWaitReadable());
                    writer = new CallbackTurn(() => writerResult = socket.EndWaitWritable());
                    ParkWriter(socket, writer);
                    Assert.Equal(PollResult.Pending, socket.BeginWaitReadable(reader));
                },
                mine: i =>
                {
                    if (i % 3 == 0)
                    {
                        second.Send(one);
                    }

                    first.Close(reset: i % 2 == 0);
                },
                other: i =>
                {
                    if (i % 3 == 1)
                    {
                        first.WakeReader();
                        first.WakeWriter();
                    }

                    first.Close();
                },
                check: _ =>
                {
                    second.Close();
                    Patience.Until(() => reader.Runs == 1 && writer.Runs > 0, "both waiters have run");
                    Assert.Equal(PollResult.Closing, first.BeginWaitReadable(reader));
                });

            // Whoever was woken before the close was told to retry, everybody else of the close.
            Assert.True(readerResult is PollResult.Closing or PollResult.Ready);
            Assert.True(writerResult is PollResult.Closing or PollResult.Ready);
            Patience.Until(() => runtime.GetStatistics().OpenDescriptors == 0, "all slots are free");
        }

        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>Turns that were released must not be released again by what still arrives for the old slot.</summary>
    [Fact]
    public void No_waiter_runs_twice_when_sockets_come_and_go()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        List<CallbackTurn> waiters = [];
        byte[] one = [1];
        for (int i = 0; i < 2000; i++)
        {
            (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
            CallbackTurn reader = new(() => first.EndWaitReadable());
            if (first.BeginWaitReadable(reader) == PollResult.Pending)
            {
                waiters.Add(reader);
            }

            second.Send(one);
            second.Close();
            first.Close();
        }

        Patience.Until(() => waiters.TrueForAll(waiter => waiter.Runs != 0), "all waiters have run");
        Patience.Until(() => runtime.GetStatistics().OpenDescriptors == 0, "all slots are free");
        Assert.All(waiters, waiter => Assert.Equal(1, waiter.Runs));
    }

    /// <summary>The number must not be given away under a system call in flight: close(2) waits for it, and so does CloseAsync.</summary>
    [Fact]
    public async Task The_descriptor_is_closed_when_the_last_call_in_flight_has_returned()
    {
        HeldReceives systemCalls = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls);
        (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
        Task<SyscallResult> receiving = Task.Run(() => first.Receive(new byte[1]));
        systemCalls.Entered.WaitInTime("the call is in flight");

        Task closing = first.CloseAsync();
        Assert.False(closing.IsCompleted);
        Assert.Contains(first.Fd, systemCalls.OpenDescriptors);
        Assert.Equal(Errno.EBADF, first.Send([1]).Errno);

        systemCalls.Leave.Set();
        Assert.True((await receiving.InTime()).WouldBlock);
        await closing.InTime();
        Assert.DoesNotContain(first.Fd, systemCalls.OpenDescriptors);
        second.Close();
        Assert.Empty(systemCalls.Violations);
    }

    [Fact]
    public async Task Every_CloseAsync_completes_whoever_closed_first()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        for (int i = 0; i < 500; i++)
        {
            (StreamSocket first, StreamSocket second) = SocketPairs.CreateStarted(runtime);
            Task[] closings = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(first.CloseAsync))];
            first.Close();
            await Task.WhenAll(closings).InTime();
            await second.CloseAsync().InTime();
        }

        Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
    }

    // A fresh socket is writable, and says so once: after that edge the writer stays parked, since nothing changes.
    private static void ParkWriter(StreamSocket socket, CallbackTurn writer)
    {
        CallbackTurn initial = new(() => socket.EndWaitWritable());
        if (socket.BeginWaitWritable(initial) == PollResult.Pending)
        {
            Patience.Until(() => initial.Runs == 1, "the initial edge arrives");
        }

        PollResult result;
        while ((result = socket.BeginWaitWritable(writer)) == PollResult.Ready)
        {
        }

        Assert.Equal(PollResult.Pending, result);
    }

    private sealed class HeldReceives : ObservedKernel
    {
        internal ManualResetEventSlim Entered { get; } = new();

        internal ManualResetEventSlim Leave { get; } = new();

        protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags)
        {
            Entered.Set();
            Leave.WaitInTime("the test lets it go");
            return base.RecvOnce(fd, buffer, flags);
        }
    }
}
