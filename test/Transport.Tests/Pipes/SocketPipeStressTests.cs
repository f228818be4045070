using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Pipes;

/// <summary>Everything at once, for a while. What goes wrong is repeated with the seed that the failure names.</summary>
[OneMode]
public sealed class SocketPipeStressTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(2);

    /// <summary>
    /// An application echoes, in all the ways there are of reading and writing, while somebody cancels, wakes and sends short. Every
    /// byte must come back, and every block.
    /// </summary>
    [Fact]
    public async Task Every_byte_comes_back()
    {
        int seed = Environment.TickCount;
        int first = seed;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Duration)
        {
            try
            {
                await EchoAsync(new Random(seed));
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Seed {seed}: {e.Message}", e);
            }

            seed++;
        }

        output.WriteLine($"seeds {first} to {seed - 1}");
    }

    /// <summary>A connection ends at any moment, in any way. Every wait must end, and every block must come back.</summary>
    [Fact]
    public async Task Every_end_ends_everything()
    {
        int seed = Environment.TickCount;
        int first = seed;
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 2, Name = "stress", Backend = SuiteSettings.EngineBackend });
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Duration)
        {
            try
            {
                await EndAsync(new Random(seed), runtime);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Seed {seed}: {e.Message}", e);
            }

            seed++;
        }

        await Task.Run(runtime.Dispose);
        output.WriteLine($"seeds {first} to {seed - 1}");
    }

    private static async Task EchoAsync(Random random)
    {
        await using var pipe = new SocketPipe(
            maxReadBufferSize: random.Next(3) * 10_000,
            maxWriteBufferSize: random.Next(3) * 5_000,
            sendBufferSize: random.Next(2) * 4_096);
        if (random.Next(2) == 0)
        {
            pipe.SystemCalls.MaxBytesPerSend = random.Next(1, 5_000);
        }

        byte[] sent = new byte[random.Next(1, 400_000)];
        random.NextBytes(sent);
        int sendSeed = random.Next();
        int echoSeed = random.Next();
        int disturbSeed = random.Next();
        using var done = new CancellationTokenSource();

        Task app = pipe.RunOnWorker(() => EchoUntilEndAsync(pipe, new Random(echoSeed)));
        Task sending = Task.Run(() =>
        {
            var r = new Random(sendSeed);
            for (int i = 0; i < sent.Length;)
            {
                int length = Math.Min(r.Next(1, r.Next(2) == 0 ? 100 : 50_000), sent.Length - i);
                pipe.Send(sent.AsSpan(i, length));
                i += length;
            }

            pipe.ShutdownPeer();
        });
        Task disturbing = Task.Run(() => Disturb(pipe, new Random(disturbSeed), done.Token));
        byte[] received = await Task.Run(() => pipe.ReceiveExactly(sent.Length)).InTime();
        await sending.InTime();
        await app.InTime();
        await done.CancelAsync();
        await disturbing.InTime();
        Assert.True(sent.AsSpan().SequenceEqual(received), "The bytes came back changed.");
        Assert.Null(await pipe.Owner.InputEnded.InTime());
    }

    private static async Task EchoUntilEndAsync(SocketPipe pipe, Random random)
    {
        // Sometimes the tokens come from a source that is reset and used again, as Kestrel's are.
        using var source = new CancellationTokenSource();
        while (true)
        {
            ReadResult result;
            using var timeout = new CancellationTokenSource();
            CancellationToken token = random.Next(4) switch
            {
                0 => timeout.Token,
                1 => source.Token,
                _ => default,
            };
            if (token == timeout.Token)
            {
                timeout.CancelAfter(random.Next(3));
            }

            try
            {
                if (random.Next(4) != 0 || !pipe.Reader.TryRead(out result))
                {
                    result = await pipe.Reader.ReadAsync(token);
                }
            }
            catch (OperationCanceledException)
            {
                continue;
            }

            if (result.IsCanceled && random.Next(2) == 0)
            {
                continue;
            }

            ReadOnlySequence<byte> buffer = result.Buffer;
            if (random.Next(3) == 0)
            {
                buffer = buffer.Slice(0, random.NextInt64(buffer.Length + 1));
            }

            await EchoAsync(pipe, buffer, random);
            bool completed = result.IsCompleted && buffer.Length == result.Buffer.Length;
            pipe.Reader.AdvanceTo(buffer.End, completed || random.Next(2) == 0 ? buffer.End : result.Buffer.End);
            if (completed)
            {
                pipe.Writer.Complete();
                await pipe.Writer.DrainAsync();
                return;
            }

            if (buffer.Length != result.Buffer.Length)
            {
                // What is left may be the last, and examined: somebody must say so.
                pipe.Reader.CancelPendingRead();
            }

            if (random.Next(20) == 0)
            {
                await Task.Run(static () => { });
            }
        }
    }

    private static async Task EchoAsync(SocketPipe pipe, ReadOnlySequence<byte> buffer, Random random)
    {
        foreach (ReadOnlyMemory<byte> memory in buffer)
        {
            ReadOnlyMemory<byte> rest = memory;
            while (!rest.IsEmpty)
            {
                ReadOnlyMemory<byte> piece = rest[..random.Next(1, rest.Length + 1)];
                rest = rest[piece.Length..];
                if (random.Next(3) == 0)
                {
                    await FlushAsync(pipe.Writer.WriteAsync(piece));
                }
                else
                {
                    piece.CopyTo(pipe.Writer.GetMemory(piece.Length));
                    pipe.Writer.Advance(piece.Length);
                }
            }

            if (random.Next(2) == 0)
            {
                await FlushAsync(pipe.Writer.FlushAsync());
            }
        }

        using var timeout = new CancellationTokenSource();
        if (random.Next(4) == 0)
        {
            timeout.CancelAfter(random.Next(2));
        }

        try
        {
            await FlushAsync(pipe.Writer.FlushAsync(timeout.Token));
        }
        catch (OperationCanceledException)
        {
            // Before it began, or while it waited: written it is.
        }

        static async ValueTask FlushAsync(ValueTask<FlushResult> flush) => Assert.False((await flush).IsCompleted);
    }

    private static void Disturb(SocketPipe pipe, Random random, CancellationToken done)
    {
        while (!done.IsCancellationRequested)
        {
            switch (random.Next(6))
            {
                case 0:
                    pipe.Reader.CancelPendingRead();
                    break;
                case 1:
                    pipe.Writer.CancelPendingFlush();
                    break;
                case 2:
                    pipe.Socket.WakeReader();
                    break;
                case 3:
                    pipe.Socket.WakeWriter();
                    break;
                case 4:
                    pipe.Reader.OnHangup();
                    break;
                default:
                    pipe.Writer.SendHeld();
                    break;
            }

            Thread.SpinWait(random.Next(2_000));
        }
    }

    private static async Task EndAsync(Random random, NetpollRuntime runtime)
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 5_000, sendBufferSize: 4_096, runtime: runtime);
        Task reading = ReadUntilEndAsync(pipe, random.Next(2) == 0);
        Task writing = WriteUntilEndAsync(pipe, random.Next(2) == 0);
        int kind = random.Next(5);
        int spins = random.Next(20_000);
        await Task.Run(() =>
        {
            if (random.Next(2) == 0)
            {
                pipe.Send(new byte[random.Next(1, 50_000)]);
            }

            Thread.SpinWait(spins);
            switch (kind)
            {
                case 0:
                    pipe.Peer.Dispose();
                    break;
                case 1:
                    pipe.Abort(new ConnectionAbortedException());
                    break;
                case 2:
                    Parallel.Invoke(() => pipe.Abort(new ConnectionAbortedException()), pipe.Peer.Dispose, pipe.Reader.CancelPendingRead);
                    break;
                case 3:
                    pipe.Socket.Close();
                    break;
                default:
                    pipe.Peer.Dispose();
                    pipe.Abort(new ConnectionAbortedException());
                    break;
            }
        }).InTime();
        await reading.InTime();

        // A peer that is gone may leave the writer with nothing that fails: its owner aborts then, as every owner does.
        pipe.Abort(new ConnectionAbortedException());
        await writing.InTime();
        await pipe.Writer.DrainAsync().InTime();
    }

    private static async Task ReadUntilEndAsync(SocketPipe pipe, bool examineOnly)
    {
        await Task.Yield();
        try
        {
            while (true)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                if (result.IsCompleted)
                {
                    return;
                }

                pipe.Reader.AdvanceTo(examineOnly ? result.Buffer.Start : result.Buffer.End, result.Buffer.End);
            }
        }
        catch (Exception e) when (e is ConnectionAbortedException or ConnectionResetException)
        {
        }
    }

    private static async Task WriteUntilEndAsync(SocketPipe pipe, bool copy)
    {
        await Task.Yield();
        while (true)
        {
            ValueTask<FlushResult> flush;
            if (copy)
            {
                pipe.Writer.GetSpan(3_000)[..3_000].Clear();
                pipe.Writer.Advance(3_000);
                flush = pipe.Writer.FlushAsync();
            }
            else
            {
                flush = pipe.Writer.WriteAsync(new byte[3_000]);
            }

            if ((await flush).IsCompleted)
            {
                return;
            }
        }
    }
}
