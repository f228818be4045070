using KestrelNetpoll.Native;

namespace FifoTun;

/// <summary>What comes from one FIFO goes into the other. Nothing of it holds a thread while it waits.</summary>
internal static class FifoEcho
{
    private const int BufferSize = 64 * 1024;

    internal static async Task RunAsync(FifoPair fifos, CancellationToken end)
    {
        Console.WriteLine($"Echo from {fifos.Input} to {fifos.Output}. In two other terminals:");
        Console.WriteLine($"  cat {fifos.Output}");
        Console.WriteLine($"  cat > {fifos.Input}");
        byte[] buffer = new byte[BufferSize];

        // Opening does not wait, and reading does, for somebody who writes.
        NetpollFile input = NetpollFile.Open(fifos.Input, FileAccess.Read);
        try
        {
            while (true)
            {
                input = await PassOnAsync(input, fifos, buffer, end);
            }
        }
        finally
        {
            await input.DisposeAsync();
        }
    }

    /// <returns>What to read from next.</returns>
    private static async Task<NetpollFile> PassOnAsync(NetpollFile input, FifoPair fifos, byte[] buffer, CancellationToken end)
    {
        NetpollFile? output = null;
        long total = 0;
        try
        {
            while (await input.ReadAsync(buffer, end) is > 0 and int count)
            {
                // Waits for somebody who reads. Not before there is something to read: those who have read all that was there before are to
                // see its end.
                output ??= await NetpollFile.OpenAsync(fifos.Output, FileAccess.Write, cancellationToken: end);
                total += await output.WriteAsync(buffer.AsMemory(0, count), end);
            }

            Console.WriteLine($"{total} bytes; who has written them has gone.");

            // The next one before the old one is closed: what others write meanwhile is not lost.
            NetpollFile next = NetpollFile.Open(fifos.Input, FileAccess.Read);
            await input.DisposeAsync();
            return next;
        }
        catch (IOException) when (output is not null)
        {
            Console.WriteLine($"{total} bytes; who has read them has gone.");
            return input;
        }
        finally
        {
            if (output is not null)
            {
                await output.DisposeAsync();
            }
        }
    }
}
