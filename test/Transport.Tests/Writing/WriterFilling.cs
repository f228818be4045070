using System.IO.Pipelines;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>Writes to a writer until it, or the kernel, has enough.</summary>
internal static class WriterFilling
{
    internal static void Write(SocketPipe pipe, int count)
    {
        pipe.Writer.GetSpan(count)[..count].Fill(7);
        pipe.Writer.Advance(count);
    }

    /// <summary>Writes until the kernel takes no more, and nobody is sending.</summary>
    internal static async Task<int> FillAsync(SocketPipe pipe)
    {
        int written = 0;
        do
        {
            Write(pipe, 4_000);
            written += 4_000;
            await pipe.Writer.FlushAsync().InTime();
            pipe.Writer.SendHeld();

            // What was held may be another thread's to send by now.
            await Patience.UntilAsync(() => pipe.Pool.RentedBlocks == 0 || pipe.Writer.IsParked, "nobody is sending");
        }
        while (!pipe.Writer.IsParked);

        return written;
    }

    /// <summary>Does a flush wait until the peer has taken something? What says so first can change by the peer alone.</summary>
    internal static bool WaitsForPeer(SocketPipe pipe) => pipe.Writer.IsParked && pipe.Writer.IsFlushWaiting;

    internal static async Task<Task<FlushResult>> FillUntilAFlushWaitsAsync(SocketPipe pipe)
    {
        while (true)
        {
            Write(pipe, 4_000);
            Task<FlushResult> flush = pipe.Writer.FlushAsync().AsTask();

            // It may have to wait only for a thread that is sending what was held, or for others that it lets go first.
            await Patience.UntilAsync(() => flush.IsCompleted || WaitsForPeer(pipe), "it waits for the peer");
            if (!flush.IsCompleted)
            {
                return flush;
            }

            Assert.False((await flush).IsCompleted);
        }
    }
}
