using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Internal;

/// <summary>What is left to the thread pool does not depend on it. Alone: every other test needs the pool.</summary>
[Collection(nameof(Alone))]
public sealed class BlockedPoolTests
{
    private const int Size = 100;

    /// <summary>The work item is on a thread pool all of whose threads are blocked until the bytes have arrived.</summary>
    [Fact]
    public async Task A_burst_is_sent_although_the_thread_pool_is_blocked()
    {
        await using var pipe = new SocketPipe();

        // Not disposed of: some of those that wait come to it when the test is over.
        var arrived = new ManualResetEventSlim();
        int flushed = 0;
        var flusher = new Thread(() =>
        {
            // More than the pool starts threads for while the test waits.
            for (int i = 0; i < 200; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(static state => ((ManualResetEventSlim)state!).Wait(Patience.Limit), arrived);
            }

            for (int i = 0; i < 1_000; i++)
            {
                pipe.Writer.GetSpan(Size)[..Size].Fill(1);
                pipe.Writer.Advance(Size);
                _ = pipe.Writer.FlushAsync().AsTask();
                flushed++;
            }
        });
        flusher.Start();
        flusher.Join();
        pipe.ReceiveExactly(flushed * Size);
        arrived.Set();
    }
}
