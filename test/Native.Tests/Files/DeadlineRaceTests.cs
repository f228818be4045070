using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Deadlines that are moved while operations start, wait and end.</summary>
public sealed class DeadlineRaceTests
{
    private const int Operations = 1000;

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Deadlines_of_two_microseconds_end_operations_and_nothing_else(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new(runtime);
        Task deadlines = Task.Run(() =>
        {
            for (int i = 0; i < Operations; i++)
            {
                pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMicroseconds(2)));
                pipe.Write.SetWriteDeadline(Moments.In(TimeSpan.FromMicroseconds(2)));
            }
        });
        Task<long> reads = Task.Run(() => CountAsync(async () => await pipe.Read.ReadAsync(new byte[1])));
        Task<long> writes = Task.Run(() => CountAsync(async () => await pipe.Write.WriteAsync(new byte[1])));
        await Task.WhenAll(deadlines, reads, writes);

        // What was written and not read is still there, and the file works as on the first day.
        pipe.Read.SetReadDeadline(null);
        pipe.Write.SetWriteDeadline(null);
        pipe.Write.Dispose();
        byte[] rest = await pipe.Read.ReadToEndAsync();
        Assert.Equal(await writes - await reads, rest.Length);
        Assert.Equal(0, runtime.GetStatistics().FailedTurns);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_deadline_that_is_extended_for_ever_never_comes(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new(runtime);
        Task reader = Task.Run(async () =>
        {
            for (int i = 0; i < Operations; i++)
            {
                pipe.Read.SetReadDeadline(Moments.Later);
                Assert.Equal(1, await pipe.Read.ReadAsync(new byte[1]));
            }
        });
        Task writer = Task.Run(async () =>
        {
            for (int i = 0; i < Operations; i++)
            {
                pipe.Write.SetWriteDeadline(Moments.Later);
                await pipe.Write.WriteAsync(new byte[1]);
            }
        });

        await Task.WhenAll(reader, writer);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Ever_earlier_deadlines_from_many_threads_leave_the_timers_in_order()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 });
        PipePair[] pipes = [.. Enumerable.Range(0, 10).Select(_ => new PipePair(runtime))];
        Task<byte[]>[] reads = [.. pipes.Select(pipe => pipe.Read.ReadSomeAsync())];
        DateTimeOffset start = Moments.Later;

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                foreach (PipePair pipe in pipes)
                {
                    pipe.Read.SetReadDeadline(start - TimeSpan.FromSeconds(i));
                }
            }
        })));

        Assert.All(reads, read => Assert.False(read.IsCompleted));
        foreach (PipePair pipe in pipes)
        {
            pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(1)));
        }

        foreach (Task<byte[]> read in reads)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
        }

        foreach (PipePair pipe in pipes)
        {
            await pipe.DisposeAsync();
        }

        Assert.Equal(0, runtime.Groups[0].Poller.Deadlines.Count);
    }

    // Only the deadline may end an operation without success.
    private static async Task<long> CountAsync(Func<Task<int>> operation)
    {
        long moved = 0;
        for (int i = 0; i < Operations; i++)
        {
            try
            {
                moved += await operation();
            }
            catch (DeadlineExceededException exception)
            {
                Assert.Equal(0, exception.BytesWritten);
            }
        }

        return moved;
    }
}
