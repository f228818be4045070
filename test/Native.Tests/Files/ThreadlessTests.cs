using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Waiting holds no thread: neither one of the thread pool's nor one of its own.</summary>
[Collection(nameof(Alone))]
public sealed class ThreadlessTests
{
    private const int Waiting = 100;

    // What the runtime itself may start in the meantime.
    private const int Tolerance = 10;

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_hundred_waiting_operations_hold_no_thread(bool write)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        ThreadPool.GetMinThreads(out int minimum, out _);
        int before = ProcessInfo.ThreadCount;
        PipePair[] pipes = [.. Enumerable.Range(0, Waiting).Select(_ => new PipePair(runtime))];
        int[] filled = [.. pipes.Select(pipe => write ? pipe.Fill() : 0)];
        Task[] operations =
        [
            .. pipes.Select(pipe => write
                ? pipe.Write.WriteAsync(new byte[1]).AsTask()
                : pipe.Read.ReadAsync(new byte[1]).AsTask()),
        ];

        await Task.Delay(500);
        Assert.DoesNotContain(operations, operation => operation.IsCompleted);
        Assert.InRange(ProcessInfo.ThreadCount, 0, before + Tolerance);

        // Nor did anybody make room for threads.
        ThreadPool.GetMinThreads(out int minimumNow, out _);
        Assert.Equal(minimum, minimumNow);

        foreach (PipePair pipe in pipes)
        {
            if (write)
            {
                await pipe.Read.ReadExactlyAsync(filled[0]);
            }
            else
            {
                await pipe.Write.WriteAsync(new byte[1]);
            }
        }

        await Task.WhenAll(operations);
        foreach (PipePair pipe in pipes)
        {
            await pipe.DisposeAsync();
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_thousand_callers_queued_at_one_file_hold_no_thread_either()
    {
        int before = ProcessInfo.ThreadCount;
        await using PipePair pipe = new();
        Task<int>[] reads = [.. Enumerable.Range(0, 1000).Select(_ => pipe.Read.ReadAsync(new byte[1]).AsTask())];
        await Task.Delay(500);
        Assert.InRange(ProcessInfo.ThreadCount, 0, before + Tolerance);

        await pipe.Write.WriteAsync(new byte[1000]);
        Assert.All(await Task.WhenAll(reads), read => Assert.Equal(1, read));
    }
}
