using System.Text;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Anonymous pipes, and with them what every pollable file does.</summary>
public sealed class PipeTests
{
    [Fact]
    public async Task A_pipe_has_a_reading_and_a_writing_end()
    {
        NetpollFile.CreatePipe(out NetpollFile read, out NetpollFile write);
        await using (read)
        await using (write)
        {
            Assert.Equal((true, false, true), (read.CanRead, read.CanWrite, read.IsPollable));
            Assert.Equal((false, true, true), (write.CanRead, write.CanWrite, write.IsPollable));
            foreach (NetpollFile end in new[] { read, write })
            {
                Assert.True(ProcessInfo.IsNonBlocking(end.Descriptor.Fd));
                Assert.True(ProcessInfo.IsCloseOnExec(end.Descriptor.Fd));
            }

            Assert.Equal("pipe", read.Name);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task The_end_follows_the_last_of_several_delayed_lines()
    {
        await using PipePair pipe = new();
        for (int i = 0; i < 3; i++)
        {
            Task<byte[]> read = pipe.Read.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await pipe.Write.WriteAsync(Encoding.UTF8.GetBytes($"line {i}\n"));
            Assert.Equal($"line {i}\n", Encoding.UTF8.GetString(await read));
        }

        Task<byte[]> last = pipe.Read.ReadSomeAsync();
        await Waits.AssertPendingAsync(last);
        pipe.Write.Dispose();
        Assert.Empty(await last);
        Assert.Empty(await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_read_takes_what_is_there_and_does_not_wait_for_more()
    {
        await using PipePair pipe = new();
        await pipe.Write.WriteAsync("abcdef"u8.ToArray());

        byte[] buffer = new byte[1024];
        Assert.Equal(4, await pipe.Read.ReadAsync(buffer.AsMemory(0, 4)));
        Assert.Equal(2, await pipe.Read.ReadAsync(buffer.AsMemory(4)));
        Assert.Equal("abcdef", Encoding.UTF8.GetString(buffer, 0, 6));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Much_more_than_the_pipe_holds_arrives_in_order()
    {
        await using PipePair pipe = new();
        byte[] sent = FileExtensions.Pattern(5_000_000);

        Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync(7_777));
        Assert.Equal(sent.Length, await pipe.Write.WriteAsync(sent));
        pipe.Write.Dispose();

        FileExtensions.AssertSame(sent, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Empty_buffers_never_wait_and_move_nothing()
    {
        await using PipePair pipe = new();
        Assert.Equal(0, await pipe.Read.ReadAsync(Memory<byte>.Empty));
        await pipe.Write.WriteAsync("x"u8.ToArray());
        Assert.Equal(0, await pipe.Read.ReadAsync(Memory<byte>.Empty));
        Assert.Equal("x"u8.ToArray(), await pipe.Read.ReadSomeAsync());

        pipe.Fill();
        Assert.Equal(0, await pipe.Write.WriteAsync(ReadOnlyMemory<byte>.Empty));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Each_direction_waits_for_itself()
    {
        await using PipePair there = new();
        await using PipePair back = new();
        back.Fill();
        Task<byte[]> read = there.Read.ReadSomeAsync();
        Task<int> write = back.Write.WriteAsync(new byte[1]).AsTask();
        await Waits.AssertPendingAsync(Task.WhenAny(read, write));

        await back.Read.ReadSomeAsync(back.Capacity);
        Assert.Equal(1, await write);
        Assert.False(read.IsCompleted);

        await there.Write.WriteAsync(new byte[1]);
        Assert.Single(await read);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Many_pipes_share_the_workers(int workers)
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = workers });
        PipePair[] pipes = [.. Enumerable.Range(0, 300).Select(_ => new PipePair(runtime))];
        Task<byte[]>[] reads = [.. pipes.Select(pipe => pipe.Read.ReadExactlyAsync(100))];

        for (int i = 0; i < 100; i++)
        {
            foreach (PipePair pipe in pipes)
            {
                await pipe.Write.WriteAsync(new[] { (byte)i });
            }
        }

        byte[] expected = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];
        Assert.All(await Task.WhenAll(reads), received => Assert.Equal(expected, received));
        foreach (PipePair pipe in pipes)
        {
            await pipe.DisposeAsync();
        }

        Assert.Equal((0, 0L), (runtime.GetStatistics().OpenDescriptors, runtime.GetStatistics().FailedTurns));
    }
}
