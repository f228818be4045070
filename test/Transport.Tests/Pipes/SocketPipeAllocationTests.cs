using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Pipes;

/// <summary>Nothing is allocated for a request and its response once a connection is warm.</summary>
[OneMode]
public sealed class SocketPipeAllocationTests
{
    private const int WarmUp = 2_000;
    private const int Rounds = 5_000;

    [Theory]
    [InlineData(100, 1, 0)]
    [InlineData(20_000, 1, 0)]
    [InlineData(20_000, 1, 1_000)]
    [InlineData(100, 16, 0)]
    public async Task A_round_trip_allocates_nothing(int responseSize, int pipelined, int maxWriteBufferSize)
    {
        // On a busy machine another thread goes on now and then, whose count is another one.
        for (int attempt = 0; attempt < 20; attempt++)
        {
            (long allocated, bool sameThread) = await MeasureAsync(responseSize, pipelined, maxWriteBufferSize);
            if (sameThread)
            {
                // Less than a byte for each: what is left is the runtime's own, once in a while.
                Assert.True(allocated < Rounds * pipelined, $"{allocated} bytes for {Rounds * pipelined} requests");
                return;
            }
        }

        Assert.Fail("The worker changed each time.");
    }

    private static async Task<(long Allocated, bool SameThread)> MeasureAsync(int responseSize, int pipelined, int maxWriteBufferSize)
    {
        // With one worker, the engine and the application run on one thread, whose allocations are nobody else's.
        await using var pipe = new SocketPipe(
            workers: 1, pool: new RecyclingPool(), maxWriteBufferSize: maxWriteBufferSize, sendBufferSize: maxWriteBufferSize);

        // A registration that was not undone could not be reused, and the next one would allocate.
        using var source = new CancellationTokenSource();
        long allocated = 0;
        Task app = pipe.RunOnWorker(async () =>
        {
            long before = 0;
            for (int i = 0; i < (WarmUp + Rounds) * pipelined; i++)
            {
                if (i == WarmUp * pipelined)
                {
                    before = GC.GetAllocatedBytesForCurrentThread();
                }

                ReadResult result = await pipe.Reader.ReadAsync(source.Token);
                pipe.Reader.AdvanceTo(result.Buffer.GetPosition(1));
                for (int written = 0; written < responseSize;)
                {
                    int length = Math.Min(pipe.Writer.GetSpan().Length, responseSize - written);
                    pipe.Writer.Advance(length);
                    written += length;
                }

                await pipe.Writer.FlushAsync(source.Token);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        });
        await Task.Run(() =>
        {
            byte[] requests = new byte[pipelined];
            byte[] response = new byte[responseSize * pipelined];
            for (int i = 0; i < WarmUp + Rounds; i++)
            {
                pipe.Send(requests);
                for (int received = 0; received < response.Length;)
                {
                    received += pipe.Peer.Receive(response.AsSpan(received));
                }
            }
        }).InTime();
        await app.InTime();

        return (allocated, pipe.HandOffs == 0);
    }
}
