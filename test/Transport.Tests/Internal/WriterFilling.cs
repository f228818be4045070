using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Internal;

/// <summary>Writes to a writer until it, or the kernel, has enough.</summary>
internal static class WriterFilling
{
    internal static void Write(SocketPipe pipe, int count)
    {
        pipe.Writer.GetSpan(count)[..count].Fill(7);
        pipe.Writer.Advance(count);
    }

    /// <summary>Writes until the kernel takes no more.</summary>
    internal static async Task<int> FillAsync(SocketPipe pipe)
    {
        int written = 0;
        do
        {
            Write(pipe, 4_000);
            written += 4_000;
            await pipe.Writer.FlushAsync().InTime();
            pipe.Writer.SendHeld();
        }
        while (pipe.Pool.RentedBlocks == 0);

        return written;
    }

    internal static async Task<Task<FlushResult>> FillUntilAFlushWaitsAsync(SocketPipe pipe)
    {
        while (true)
        {
            Write(pipe, 4_000);
            Task<FlushResult> flush = pipe.Writer.FlushAsync().AsTask();

            // It may have to wait only for a thread that is sending what was held.
            if (!flush.IsCompleted && await Task.WhenAny(flush, Task.Delay(10)) != flush)
            {
                return flush;
            }

            Assert.False((await flush).IsCompleted);
        }
    }
}
