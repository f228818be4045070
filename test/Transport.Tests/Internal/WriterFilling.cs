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
            if (!flush.IsCompleted)
            {
                return flush;
            }

            Assert.False((await flush).IsCompleted);
        }
    }
}
