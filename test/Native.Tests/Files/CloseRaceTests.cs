namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Closing a file that is in use: everybody is told, at once, and the descriptor is gone when the closer was told so.</summary>
public sealed class CloseRaceTests
{
    private const int Rounds = 200;

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_a_blocked_read()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using PipePair pipe = new();
            Task<byte[]> read = Task.Run(() => pipe.Read.ReadSomeAsync(1));
            await PauseAsync(round);
            pipe.Read.Dispose();
            ObjectDisposedException exception = await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
            Assert.Equal(nameof(NetpollFile), exception.ObjectName);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_a_blocked_write()
    {
        byte[] more = new byte[2 * 1024 * 1024];
        for (int round = 0; round < Rounds; round++)
        {
            await using PipePair pipe = new();
            Task<int> write = Task.Run(() => pipe.Write.WriteAsync(more).AsTask());
            await PauseAsync(round);
            pipe.Write.Dispose();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => write);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_every_queued_operation()
    {
        for (int round = 0; round < 50; round++)
        {
            await using PipePair pipe = new();
            pipe.Fill();
            await using PipePair idle = new();
            Task[] operations =
            [
                .. Enumerable.Range(0, 10).Select(_ => idle.Read.ReadSomeAsync()),
                .. Enumerable.Range(0, 10).Select(_ => pipe.Write.WriteAsync(new byte[1]).AsTask()),
            ];
            await PauseAsync(round);
            idle.Read.Dispose();
            pipe.Write.Dispose();
            foreach (Task operation in operations)
            {
                await Assert.ThrowsAsync<ObjectDisposedException>(() => operation);
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task DisposeAsync_completes_when_the_descriptor_is_closed()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using PipePair pipe = new();
            int fd = pipe.Read.Descriptor.Fd;
            string? link = ProcessInfo.LinkOf(fd);
            Assert.StartsWith("pipe:", link, StringComparison.Ordinal);
            Task[] reads = [.. Enumerable.Range(0, round % 4).Select(_ => Task.Run(() => pipe.Read.ReadSomeAsync()))];
            await PauseAsync(round);

            // By now the number may be another test's; what it refers to is not this pipe any more.
            await pipe.Read.DisposeAsync();
            Assert.NotEqual(link, ProcessInfo.LinkOf(fd));
            foreach (Task read in reads)
            {
                await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Closing_again_changes_nothing()
    {
        await using PipePair pipe = new();
        pipe.Read.Dispose();
        pipe.Read.Dispose();
        await pipe.Read.DisposeAsync();
        await pipe.Read.DisposeAsync();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
        {
            if ((i & 1) == 0)
            {
                pipe.Write.Dispose();
            }

            await pipe.Write.DisposeAsync();
        })));
        Assert.True(pipe.Write.Descriptor.IsClosed);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_closed_file_refuses_everything()
    {
        PipePair pipe = new();
        await pipe.DisposeAsync();
        ReadOnlyMemory<byte> bytes = new byte[1];

        await AssertDisposedAsync(async () => await pipe.Read.ReadAsync(new byte[1]));
        await AssertDisposedAsync(async () => await pipe.Read.ReadAsync(Memory<byte>.Empty));
        await AssertDisposedAsync(async () => await pipe.Read.ReadAsync([new byte[1].AsMemory()]));
        await AssertDisposedAsync(async () => await pipe.Read.ReadAsync([Memory<byte>.Empty]));
        await AssertDisposedAsync(async () => await pipe.Write.WriteAsync(bytes));
        await AssertDisposedAsync(async () => await pipe.Write.WriteAsync(ReadOnlyMemory<byte>.Empty));
        await AssertDisposedAsync(async () => await pipe.Write.WriteAsync([bytes]));
        Assert.Throws<ObjectDisposedException>(() => pipe.Read.SetReadDeadline(null));
        Assert.Throws<ObjectDisposedException>(() => pipe.Write.SetWriteDeadline(Moments.Later));
        Assert.Throws<ObjectDisposedException>(() => pipe.Write.SetDeadline(Moments.Past));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Data_and_close_at_the_same_time_give_one_or_the_other()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using PipePair pipe = new();
            Task<byte[]> read = pipe.Read.ReadSomeAsync();
            Task write = Task.Run(() => pipe.Write.WriteAsync("x"u8.ToArray()).AsTask());
            Task close = Task.Run(pipe.Read.Dispose);
            try
            {
                Assert.Equal("x"u8.ToArray(), await read);
            }
            catch (ObjectDisposedException)
            {
            }

            await close;
            try
            {
                await write;
            }
            catch (IOException)
            {
                // The reader was gone first.
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_close_outranks_a_deadline()
    {
        await using PipePair pipe = new();
        pipe.Read.SetReadDeadline(Moments.Past);
        pipe.Read.Dispose();
        await AssertDisposedAsync(async () => await pipe.Read.ReadAsync(new byte[1]));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Close_deadline_and_cancellation_at_the_same_time_give_one_of_the_three()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using PipePair pipe = new();
            using CancellationTokenSource cancellation = new();
            Task<int> read = pipe.Read.ReadAsync(new byte[1], cancellation.Token).AsTask();
            Task races = Task.WhenAll(
                Task.Run(cancellation.Cancel),
                Task.Run(() =>
                {
                    try
                    {
                        pipe.Read.SetReadDeadline(Moments.Past);
                    }
                    catch (ObjectDisposedException)
                    {
                    }
                }),
                Task.Run(pipe.Read.Dispose));

            Exception? exception = await Record.ExceptionAsync(() => read);
            Assert.True(
                exception is ObjectDisposedException or DeadlineExceededException or OperationCanceledException, exception?.ToString());
            await races;
        }
    }

    private static Task<ObjectDisposedException> AssertDisposedAsync(Func<Task> operation) =>
        Assert.ThrowsAsync<ObjectDisposedException>(operation);

    // Some rounds hit the operation before it started, some while it starts, some while it waits.
    private static async Task PauseAsync(int round)
    {
        switch (round % 4)
        {
            case 0:
                break;
            case 1:
                await Task.Yield();
                break;
            case 2:
                Thread.SpinWait(round * 20);
                break;
            default:
                await Task.Delay(1);
                break;
        }
    }
}
