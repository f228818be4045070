using System.IO.Pipelines;
using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;
using KestrelNetpoll.Transport.Reading;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// A read that waits: the peer sends <see cref="Bytes"/>, the event wakes a turn, and the application's loop gets and consumes them.
/// The socket reader receives for the loop; compare with a <see cref="Pipe"/> that a pump fills from the same kind of socket, as other
/// transports do: a block per system call, while the reader asks for several at once. Everything happens on one thread, also the pipe's
/// continuations, so that no switch hides the difference.
/// </summary>
public class PipeReaderBenchmarks
{
    private byte[] _payload = [];
    private WorkerByHand _worker = null!;
    private BlockPool _pool = null!;
    private StreamSocket _socket = null!;
    private int _peer;
    private long _consumed;

    [Params(64, 16_384)]
    public int Bytes { get; set; }

    [GlobalSetup(Target = nameof(SocketReader))]
    public void SetupSocketReader()
    {
        OpenSocket();
        Consume(new SocketPipeReader(_socket, _pool, new QuietOwner(), maxReadBufferSize: 1024 * 1024));
    }

    [GlobalSetup(Target = nameof(PumpedPipe))]
    public void SetupPumpedPipe()
    {
        OpenSocket();
        var pipe = new Pipe(new PipeOptions(_pool, PipeScheduler.Inline, PipeScheduler.Inline, useSynchronizationContext: false));
        Consume(pipe.Reader);
        new Pump(_socket, pipe.Writer).Start();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _socket.Close();
        _worker.Dispose();
        SystemCalls.Instance.Close(_peer);
        _pool.Dispose();
    }

    [Benchmark(Baseline = true)]
    public long PumpedPipe() => SendAndConsume();

    [Benchmark]
    public long SocketReader() => SendAndConsume();

    private void OpenSocket()
    {
        _payload = new byte[Bytes];
        _pool = new BlockPool();
        _worker = new WorkerByHand();
        (_socket, _peer) = _worker.OpenSocketPair();
    }

    private long SendAndConsume()
    {
        long end = _consumed + Bytes;
        SocketPair.Send(_peer, _payload);
        while (_consumed != end)
        {
            _worker.RunEvents();
        }

        return end;
    }

    // The application. It begins on this thread and goes on in the turns, until the process ends.
    private async void Consume(PipeReader reader)
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync().ConfigureAwait(false);
            _consumed += result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
        }
    }

    private sealed class Pump(StreamSocket socket, PipeWriter writer) : Turn
    {
        internal void Start()
        {
            while (socket.BeginWaitReadable(this) != PollResult.Pending)
            {
            }
        }

        internal override void Run()
        {
            socket.EndWaitReadable();
            do
            {
                Fill();
            }
            while (socket.BeginWaitReadable(this) != PollResult.Pending);
        }

        internal override void OnUnhandledException(Exception exception) => throw exception;

        // Until the kernel has no more.
        private void Fill()
        {
            int received;
            int asked;
            do
            {
                Memory<byte> memory = writer.GetMemory();
                SyscallResult result = socket.Receive(memory.Span);
                if (result.WouldBlock)
                {
                    return;
                }

                asked = memory.Length;
                received = result.ThrowIfError("recv");
                writer.Advance(received);
                ThrowUnlessConsumed(writer.FlushAsync());
            }
            while (received == asked);
        }

        private static void ThrowUnlessConsumed(ValueTask<FlushResult> flush)
        {
            if (!flush.IsCompletedSuccessfully || flush.Result.IsCompleted)
            {
                throw new InvalidOperationException("The application did not consume what it got.");
            }
        }
    }
}
