using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Several callers at one file: reads queue, writes queue, nothing is mixed and nothing is lost.</summary>
public sealed class ConcurrencyTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Every_number_reaches_exactly_one_reader(int workers)
    {
        const int Numbers = 20_000;
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new(runtime);
        Task<List<int>>[] readers = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            List<int> received = [];
            byte[] buffer = new byte[sizeof(int)];
            int count;
            while ((count = await pipe.Read.ReadAsync(buffer)) != 0)
            {
                Assert.Equal(sizeof(int), count);
                received.Add(BitConverter.ToInt32(buffer));
            }

            return received;
        }))];

        int next = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            int number;
            while ((number = Interlocked.Increment(ref next) - 1) < Numbers)
            {
                await pipe.Write.WriteAsync(BitConverter.GetBytes(number));
            }
        })));
        pipe.Write.Dispose();

        int[] all = [.. (await Task.WhenAll(readers)).SelectMany(received => received).Order()];
        Assert.Equal(Enumerable.Range(0, Numbers), all);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Writes_larger_than_the_pipe_are_not_mixed(int workers)
    {
        // Well above PIPE_BUF, up to which the kernel itself keeps writes apart, and above what a pipe holds.
        const int Length = 100_000;
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        await using PipePair pipe = new(runtime);
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync());
        await Task.WhenAll(Enumerable.Range(0, 10).Select(writer => Task.Run(async () =>
        {
            for (int i = 0; i < 5; i++)
            {
                byte[] block = new byte[Length];
                block.AsSpan().Fill((byte)((writer * 5) + i));
                Assert.Equal(Length, await pipe.Write.WriteAsync(block));
            }
        })));
        pipe.Write.Dispose();

        byte[][] blocks = [.. (await received).Chunk(Length)];
        Assert.All(blocks, block => Assert.Equal(-1, block.AsSpan().IndexOfAnyExcept(block[0])));
        Assert.Equal(Enumerable.Range(0, 50), blocks.Select(block => (int)block[0]).Order());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Queued_reads_get_their_turn_in_the_order_of_the_queue()
    {
        await using PipePair pipe = new();
        Task<byte[]>[] reads = [.. Enumerable.Range(0, 10).Select(_ => pipe.Read.ReadSomeAsync(1))];
        for (byte i = 0; i < reads.Length; i++)
        {
            await pipe.Write.WriteAsync(new[] { i });
            Assert.Equal(new[] { i }, await reads[i]);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_reader_and_a_writer_do_not_wait_for_each_other()
    {
        await using PipePair pipe = new();
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync(100));
        byte[] sent = FileExtensions.Pattern(500_000);
        for (int i = 0; i < sent.Length; i += 1000)
        {
            await pipe.Write.WriteAsync(sent.AsMemory(i, 1000));
        }

        pipe.Write.Dispose();
        FileExtensions.AssertSame(sent, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Files_that_come_and_go_do_not_disturb_each_other()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 });
        await Task.WhenAll(Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 500; i++)
            {
                await using PipePair pipe = new(runtime);
                byte[] sent = FileExtensions.Pattern(20, (caller * 1000) + i);
                Task<byte[]> read = pipe.Read.ReadExactlyAsync(sent.Length);
                await pipe.Write.WriteAsync(sent);
                Assert.Equal(sent, await read);
            }
        })));
        NetpollStatistics statistics = runtime.GetStatistics();
        Assert.Equal((0, 0L), (statistics.OpenDescriptors, statistics.FailedTurns));
    }
}
