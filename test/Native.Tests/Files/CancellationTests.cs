using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// What a cancelled operation promises: a read has consumed nothing; a write has sent a prefix; the file goes on; the token of one
/// operation never reaches another.
/// </summary>
public sealed class CancellationTests
{
    private const int Rounds = 200;

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_a_waiting_read_and_the_next_one_gets_the_data()
    {
        await using PipePair pipe = new();
        using CancellationTokenSource cancellation = new();
        Task<int> read = pipe.Read.ReadAsync(new byte[8], cancellation.Token).AsTask();
        await Waits.AssertPendingAsync(read);
        await cancellation.CancelAsync();

        OperationCanceledException exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        Assert.Equal(cancellation.Token, exception.CancellationToken);
        Assert.True(read.IsCanceled);

        await pipe.Write.WriteAsync("later"u8.ToArray());
        Assert.Equal("later"u8.ToArray(), await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_a_waiting_write_and_what_was_sent_stays_sent()
    {
        await using PipePair pipe = new();
        using CancellationTokenSource cancellation = new();
        byte[] data = FileExtensions.Pattern(200_000);
        Task<int> write = pipe.Write.WriteAsync(data, cancellation.Token).AsTask();
        await Waits.AssertPendingAsync(write);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);

        int sent = pipe.Capacity;
        FileExtensions.AssertSame(data[..sent], await pipe.Read.ReadExactlyAsync(sent));
        await pipe.Write.WriteAsync("more"u8.ToArray());
        Assert.Equal("more"u8.ToArray(), await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_cancelled_token_starts_nothing()
    {
        await using PipePair pipe = new();
        CancellationToken cancelled = new(canceled: true);
        await AssertCancelledAsync(async () => await pipe.Write.WriteAsync(new byte[1], cancelled));
        await AssertCancelledAsync(async () => await pipe.Write.WriteAsync([new byte[1]], cancelled));

        await pipe.Write.WriteAsync("kept"u8.ToArray());
        await AssertCancelledAsync(async () => await pipe.Read.ReadAsync(new byte[8], cancelled));
        await AssertCancelledAsync(async () => await pipe.Read.ReadAsync([new byte[8].AsMemory()], cancelled));
        Assert.Equal("kept"u8.ToArray(), await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_takes_one_caller_out_of_the_queue_and_leaves_the_others()
    {
        await using PipePair pipe = new();
        using CancellationTokenSource cancellation = new();
        Task<byte[]> first = pipe.Read.ReadSomeAsync(1);
        Task<int> second = pipe.Read.ReadAsync(new byte[1], cancellation.Token).AsTask();
        Task<byte[]> third = pipe.Read.ReadSomeAsync(1);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(first.IsCompleted);

        await pipe.Write.WriteAsync("ab"u8.ToArray());
        Assert.Equal("a"u8.ToArray(), await first);
        Assert.Equal("b"u8.ToArray(), await third);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Scatter_and_gather_are_cancelled_alike()
    {
        await using PipePair pipe = new();
        using CancellationTokenSource cancellation = new();
        Task<long> read = pipe.Read.ReadAsync([new byte[1].AsMemory()], cancellation.Token).AsTask();
        await using PipePair full = new();
        full.Fill();
        Task<long> write = full.Write.WriteAsync([new byte[1]], cancellation.Token).AsTask();
        await Waits.AssertPendingAsync(Task.WhenAny(read, write));

        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_token_cancelled_afterwards_does_not_reach_the_next_operation()
    {
        await using PipePair pipe = new();
        for (int round = 0; round < Rounds; round++)
        {
            using CancellationTokenSource cancellation = new();
            Task<int> read = pipe.Read.ReadAsync(new byte[1], cancellation.Token).AsTask();
            await pipe.Write.WriteAsync(new byte[1]);
            Assert.Equal(1, await read);

            Task<byte[]> next = pipe.Read.ReadSomeAsync();
            await cancellation.CancelAsync();
            await pipe.Write.WriteAsync("n"u8.ToArray());
            Assert.Equal("n"u8.ToArray(), await next);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Racing_with_data_it_never_loses_a_byte()
    {
        await using PipePair pipe = new();
        List<byte> received = [];
        byte[] buffer = new byte[1];
        for (int round = 0; round < Rounds; round++)
        {
            using CancellationTokenSource cancellation = new();
            Task<int> read = pipe.Read.ReadAsync(buffer, cancellation.Token).AsTask();
            byte value = (byte)round;
            Task write = Task.Run(() => pipe.Write.WriteAsync(new[] { value }).AsTask());
            Task cancel = Task.Run(cancellation.Cancel);
            try
            {
                Assert.Equal(1, await read);
            }
            catch (OperationCanceledException)
            {
                Assert.Equal(1, await pipe.Read.ReadAsync(buffer));
            }

            received.Add(buffer[0]);
            await Task.WhenAll(write, cancel);
        }

        Assert.Equal(Enumerable.Range(0, Rounds).Select(i => (byte)i), received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Racing_with_a_whole_queue_every_byte_still_finds_a_reader()
    {
        await using PipePair pipe = new();
        for (int round = 0; round < Rounds; round++)
        {
            using CancellationTokenSource cancellation = new();
            List<Task<int>> patient = [];
            List<Task<int>> cancelled = [];
            for (int i = 0; i < 3; i++)
            {
                cancelled.Add(pipe.Read.ReadAsync(new byte[1], cancellation.Token).AsTask());
                patient.Add(pipe.Read.ReadAsync(new byte[1], CancellationToken.None).AsTask());
            }

            Task cancel = Task.Run(cancellation.Cancel);
            await pipe.Write.WriteAsync(new byte[patient.Count]);

            // A read that was quicker than its cancellation took a byte that a patient one is now short of.
            int quicker = 0;
            foreach (Task<int> read in cancelled)
            {
                try
                {
                    quicker += await read;
                }
                catch (OperationCanceledException)
                {
                }
            }

            await pipe.Write.WriteAsync(new byte[quicker]);

            // Nobody may be left asleep beside a free lock.
            Assert.All(await Task.WhenAll(patient), read => Assert.Equal(1, read));
            await cancel;
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Both_directions_at_once()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await using var file = NetpollFile.Open(path, FileAccess.ReadWrite);
        for (int round = 0; round < 50; round++)
        {
            using CancellationTokenSource reading = new();
            Task<int> read = file.ReadAsync(new byte[1], reading.Token).AsTask();
            await reading.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
            await file.WriteAsync(new byte[1]);
            Assert.Single(await file.ReadSomeAsync());
        }
    }

    private static async Task AssertCancelledAsync(Func<Task> operation) =>
        await Assert.ThrowsAnyAsync<OperationCanceledException>(operation);
}
