using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>An operation that waits allocates nothing, once the file has been used a little.</summary>
[Collection(nameof(Alone))]
public sealed class AllocationTests
{
    private const int Operations = 20_000;
    private const int Rounds = 5;

    [Fact(Timeout = Waits.Limit)]
    public async Task A_read_that_waits()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await using PipePair pipe = new(runtime);
        byte[] buffer = new byte[1];
        await AssertAllocatesNothingAsync(runtime, async () =>
        {
            for (int i = 0; i < Operations; i++)
            {
                ValueTask<int> read = pipe.Read.ReadAsync(buffer);
                await pipe.Write.WriteAsync(buffer);
                await read;
            }
        });
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_write_that_waits()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await using PipePair pipe = new PipePair(runtime).Shrink();
        byte[] page = new byte[pipe.Fill()];
        await AssertAllocatesNothingAsync(runtime, async () =>
        {
            for (int i = 0; i < Operations; i++)
            {
                ValueTask<int> write = pipe.Write.WriteAsync(page);
                await pipe.Read.ReadAsync(page);
                await write;
            }
        });
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_read_that_waits_with_a_token_and_a_deadline()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await using PipePair pipe = new(runtime);
        using CancellationTokenSource cancellation = new();
        byte[] buffer = new byte[1];
        await AssertAllocatesNothingAsync(runtime, async () =>
        {
            for (int i = 0; i < Operations; i++)
            {
                pipe.Read.SetReadDeadline(Moments.Later);
                ValueTask<int> read = pipe.Read.ReadAsync(buffer, cancellation.Token);
                await pipe.Write.WriteAsync(buffer, cancellation.Token);
                await read;
            }
        });
    }

    [Slow]
    [Fact(Timeout = Waits.Limit)]
    public async Task Two_loops_that_wait_for_each_other()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        await using PipePair ping = new(runtime);
        await using PipePair pong = new(runtime);
        await AssertAllocatesNothingAsync(runtime, async () =>
        {
            Task answers = Task.Run(() => PassOnAsync(ping.Read, pong.Write));
            await ping.Write.WriteAsync(new byte[1]);
            await PassOnAsync(pong.Read, ping.Write);
            await answers;

            // One byte too many was sent.
            await ping.Read.ReadAsync(new byte[1]);
        });
    }

    private static async Task PassOnAsync(NetpollFile from, NetpollFile to)
    {
        byte[] buffer = new byte[1];
        for (int i = 0; i < Operations; i++)
        {
            await from.ReadAsync(buffer);
            await to.WriteAsync(buffer);
        }
    }

    private static async Task AssertAllocatesNothingAsync(NetpollRuntime runtime, Func<Task> run)
    {
        // Everything of this process is counted, the test runner included: noise only ever adds, so the quietest round counts.
        // The async methods themselves, and what starts them, allocate a few hundred bytes per round. The first round warms up.
        await run();
        double best = double.MaxValue;
        for (int round = 0; round < Rounds && best >= 1; round++)
        {
            long turns = runtime.GetStatistics().Turns;
            long before = GC.GetTotalAllocatedBytes(precise: true);
            await run();
            best = Math.Min(best, (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Operations);

            // Otherwise it would show nothing about waiting.
            Assert.InRange(runtime.GetStatistics().Turns - turns, Operations / 2, long.MaxValue);
        }

        Assert.True(best < 1, $"{best:F2} bytes per operation");
    }
}
