using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Reading into several buffers: filled in order, the last one perhaps in part, the rest left alone.</summary>
public sealed class ScatterReadTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task Buffers_are_filled_in_order()
    {
        await using PipePair pipe = new();
        byte[] sent = FileExtensions.Pattern(25);
        Memory<byte>[] buffers = [new byte[10], Memory<byte>.Empty, new byte[10], new byte[10]];
        await pipe.Write.WriteAsync(sent);
        Assert.Equal(25, await pipe.Read.ReadAsync(buffers));

        Assert.Equal(sent[..10], buffers[0].ToArray());
        Assert.Equal(sent[10..20], buffers[2].ToArray());
        Assert.Equal([.. sent[20..], 0, 0, 0, 0, 0], buffers[3].ToArray());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(1025)]
    public async Task Many_buffers_lose_nothing(int count)
    {
        await using PipePair pipe = new();
        byte[] sent = FileExtensions.Pattern(count * 10);
        Task<int> write = pipe.Write.WriteAsync(sent).AsTask();
        MemoryStream received = new();
        while (received.Length < sent.Length)
        {
            Memory<byte>[] buffers = [.. Enumerable.Range(0, count).Select(_ => new byte[10].AsMemory())];
            long read = await pipe.Read.ReadAsync(buffers);
            Assert.InRange(read, 1, sent.Length);
            byte[] bytes = [.. buffers.SelectMany(buffer => buffer.ToArray())];
            received.Write(bytes.AsSpan(0, (int)read));

            // Beyond what was read, nothing was touched.
            Assert.Equal(-1, bytes.AsSpan((int)read).IndexOfAnyExcept((byte)0));
        }

        await write;
        FileExtensions.AssertSame(sent, received.ToArray());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_waits_and_it_sees_the_end()
    {
        await using PipePair pipe = new();
        Memory<byte>[] buffers = [new byte[2], new byte[2]];
        Task<long> read = pipe.Read.ReadAsync(buffers).AsTask();
        await Waits.AssertPendingAsync(read);
        await pipe.Write.WriteAsync("abc"u8.ToArray());
        Assert.Equal(3, await read);
        Assert.Equal("ab"u8.ToArray(), buffers[0].ToArray());

        read = pipe.Read.ReadAsync(buffers).AsTask();
        await Waits.AssertPendingAsync(read);
        pipe.Write.Dispose();
        Assert.Equal(0, await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task No_room_is_not_the_end()
    {
        await using PipePair pipe = new();
        await pipe.Write.WriteAsync("x"u8.ToArray());
        Assert.Equal(0, await pipe.Read.ReadAsync([]));
        Assert.Equal(0, await pipe.Read.ReadAsync([Memory<byte>.Empty, Memory<byte>.Empty]));
        Assert.Equal("x"u8.ToArray(), await pipe.Read.ReadSomeAsync());
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await pipe.Read.ReadAsync((IReadOnlyList<Memory<byte>>)null!));
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Partial_reads_lose_nothing(int seed)
    {
        Random random = new(seed);
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 }, new PartialKernel(new Random(seed), limit: 50));
        await using PipePair pipe = new(runtime);
        byte[] sent = FileExtensions.Pattern(20_000, seed);
        Task write = Task.Run(async () =>
        {
            await pipe.Write.WriteAsync(sent);
            pipe.Write.Dispose();
        });
        MemoryStream received = new();
        while (true)
        {
            Memory<byte>[] buffers = [.. Enumerable.Range(0, random.Next(1, 20)).Select(_ => new byte[random.Next(1, 30)].AsMemory())];
            long read = await pipe.Read.ReadAsync(buffers);
            if (read == 0)
            {
                break;
            }

            received.Write(buffers.SelectMany(buffer => buffer.ToArray()).Take((int)read).ToArray());
        }

        await write;
        FileExtensions.AssertSame(sent, received.ToArray());
    }
}
