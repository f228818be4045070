using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>A write writes everything or throws; without a reader it throws, and nothing worse.</summary>
public sealed class WriteAllTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task A_slow_reader_gets_all_of_it()
    {
        await using PipePair pipe = new();
        byte[] sent = FileExtensions.Pattern(1_000_000);
        Task<int> write = pipe.Write.WriteAsync(sent).AsTask();
        MemoryStream received = new();
        byte[] buffer = new byte[30_000];
        while (received.Length < sent.Length)
        {
            int read = await pipe.Read.ReadAsync(buffer);
            received.Write(buffer, 0, read);
            await Task.Delay(1);
        }

        Assert.Equal(sent.Length, await write);
        FileExtensions.AssertSame(sent, received.ToArray());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Without_a_reader_every_write_fails_and_the_process_lives()
    {
        await using PipePair pipe = new();
        pipe.Read.Dispose();
        for (int i = 0; i < 20; i++)
        {
            await AssertBrokenAsync(pipe.Write.WriteAsync(new byte[1]).AsTask());
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_reader_that_leaves_ends_a_waiting_write()
    {
        await using PipePair pipe = new();
        Task<int> write = pipe.Write.WriteAsync(new byte[1_000_000]).AsTask();
        await Waits.AssertPendingAsync(write);
        await pipe.Read.DisposeAsync();

        // The pipe is full, so that the kernel's event is an error and nothing else. It is a broken pipe all the same.
        PartialWriteException exception = await Assert.ThrowsAsync<PartialWriteException>(() => write);
        Assert.Contains("EPIPE", exception.Message, StringComparison.Ordinal);
        await AssertBrokenAsync(pipe.Write.WriteAsync(new byte[1]).AsTask());
        await AssertBrokenAsync(Widen(pipe.Write.WriteAsync([new byte[1]])));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Partial_reads_and_writes_lose_nothing(int seed)
    {
        PartialKernel systemCalls = new(new Random(seed), limit: 700);
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 }, systemCalls);
        await using PipePair pipe = new(runtime);
        byte[] sent = FileExtensions.Pattern(300_000, seed);
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync());
        Assert.Equal(sent.Length, await pipe.Write.WriteAsync(sent));
        pipe.Write.Dispose();

        FileExtensions.AssertSame(sent, await received);
        Assert.True(systemCalls.Calls > sent.Length / 700);
    }

    private static async Task<int> Widen(ValueTask<long> write) => (int)await write;

    // Exactly an IOException: one of the derived kinds would claim to know better.
    private static async Task AssertBrokenAsync(Task<int> write)
    {
        IOException exception = await Assert.ThrowsAsync<IOException>(() => write);
        Assert.Contains("EPIPE", exception.Message, StringComparison.Ordinal);
    }
}
