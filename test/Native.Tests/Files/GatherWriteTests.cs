using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Writing many buffers at once: all of them, in order, whatever the kernel makes of them.</summary>
public sealed class GatherWriteTests
{
    // The kernel's limit is 1,024 per call: on both sides of it.
    public static TheoryData<int> Counts => [0, 1, 10, 63, 64, 65, 128, 129, 1023, 1024, 1025];

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Counts))]
    public async Task Every_number_of_chunks_arrives(int count)
    {
        await using PipePair pipe = new();
        List<ReadOnlyMemory<byte>> chunks = Chunks(count, length: i => 1 + (i % 7));
        await AssertArrivesAsync(pipe, chunks);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(3)]
    [InlineData(100)]
    [InlineData(1025)]
    public async Task Empty_chunks_are_skipped_wherever_they_are(int count)
    {
        await using PipePair pipe = new();
        await AssertArrivesAsync(pipe, Chunks(count, length: i => i % 3));
        await using PipePair another = new();
        await AssertArrivesAsync(another, Chunks(count, length: i => i == count / 2 ? 5 : 0));
        await using PipePair last = new();
        await AssertArrivesAsync(last, Chunks(count, length: _ => 0));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1, 1_000_000)]
    [InlineData(3, 333_333)]
    [InlineData(100, 9_999)]
    [InlineData(1025, 1_001)]
    public async Task More_than_the_pipe_holds_arrives_too(int count, int length)
    {
        await using PipePair pipe = new();
        await AssertArrivesAsync(pipe, Chunks(count, length: i => length + (i % 5)));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Partial_writes_continue_inside_a_chunk(int seed)
    {
        Random random = new(seed);
        PartialKernel systemCalls = new(new Random(seed), limit: 300);
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, systemCalls);
        for (int round = 0; round < 20; round++)
        {
            await using PipePair pipe = new(runtime);
            await AssertArrivesAsync(pipe, Chunks(random.Next(1, 200), length: _ => random.Next(4) == 0 ? 0 : random.Next(1, 400)));
        }

        Assert.True(systemCalls.Calls > 100);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_in_the_middle_says_how_far_it_got()
    {
        await using PipePair pipe = new();
        List<ReadOnlyMemory<byte>> chunks = Chunks(100, length: _ => 1_001);
        Task<long> write = pipe.Write.WriteAsync(chunks).AsTask();
        pipe.Write.SetWriteDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
        DeadlineExceededException exception = await Assert.ThrowsAsync<DeadlineExceededException>(() => write);

        byte[] all = Concat(chunks);
        Assert.InRange(exception.BytesWritten, 1, pipe.Capacity);
        byte[] received = await pipe.Read.ReadExactlyAsync((int)exception.BytesWritten);
        FileExtensions.AssertSame(all[..received.Length], received);
        pipe.Write.Dispose();
        Assert.Empty(await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Without_a_reader_it_fails()
    {
        await using PipePair pipe = new();
        pipe.Read.Dispose();
        IOException exception = await Assert.ThrowsAsync<IOException>(() => pipe.Write.WriteAsync(Chunks(2, _ => 10)).AsTask());
        Assert.Contains("EPIPE", exception.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Gather_writes_do_not_mix_with_others()
    {
        await using PipePair pipe = new();
        const int Length = 50_000;
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync());
        await Task.WhenAll(Enumerable.Range(1, 8).Select(value => Task.Run(async () =>
        {
            byte[] half = [.. Enumerable.Repeat((byte)value, Length / 2)];
            if ((value & 1) == 0)
            {
                await pipe.Write.WriteAsync([half, half]);
            }
            else
            {
                await pipe.Write.WriteAsync((byte[])[.. half, .. half]);
            }
        })));
        pipe.Write.Dispose();

        byte[][] blocks = [.. (await received).Chunk(Length)];
        Assert.Equal(8, blocks.Length);
        Assert.All(blocks, block => Assert.Equal(-1, block.AsSpan().IndexOfAnyExcept(block[0])));
    }

    [Fact]
    public async Task There_must_be_a_list()
    {
        await using PipePair pipe = new();
        await Assert.ThrowsAsync<ArgumentNullException>(async () =>
            await pipe.Write.WriteAsync((IReadOnlyList<ReadOnlyMemory<byte>>)null!));
    }

    private static async Task AssertArrivesAsync(PipePair pipe, List<ReadOnlyMemory<byte>> chunks)
    {
        byte[] all = Concat(chunks);
        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync(5_000));
        Assert.Equal(all.Length, await pipe.Write.WriteAsync(chunks));
        pipe.Write.Dispose();
        FileExtensions.AssertSame(all, await received);
    }

    private static List<ReadOnlyMemory<byte>> Chunks(int count, Func<int, int> length) =>
        [.. Enumerable.Range(0, count).Select(i => (ReadOnlyMemory<byte>)FileExtensions.Pattern(length(i), seed: i))];

    private static byte[] Concat(List<ReadOnlyMemory<byte>> chunks) => [.. chunks.SelectMany(chunk => chunk.ToArray())];
}
