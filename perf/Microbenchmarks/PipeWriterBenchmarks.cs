using System.Buffers;
using System.IO.Pipelines;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// The application writes and flushes <see cref="Bytes"/>, they are sent, and the peer receives them, which both sides of a comparison
/// pay for. The socket writer sends in the flush; compare with a <see cref="Pipe"/> that a pump empties into the same kind of socket, as
/// other transports do. All on one thread, also the pipe's continuations.
/// </summary>
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public class PipeWriterBenchmarks
{
    private const string Buffered = "GetSpan, FlushAsync";
    private const string Direct = "WriteAsync";
    private const int MaxSegments = 16;

    private readonly ReadOnlyMemory<byte>[] _segments = new ReadOnlyMemory<byte>[MaxSegments];
    private readonly byte[] _received = new byte[64 * 1024];
    private byte[] _payload = [];
    private WorkerByHand _worker = null!;
    private BlockPool _pool = null!;
    private StreamSocket _socket = null!;
    private PipeWriter _writer = null!;
    private int _peer;

    [Params(64, 16_384)]
    public int Bytes { get; set; }

    [GlobalSetup(Targets = [nameof(SocketWriterFlush), nameof(SocketWriterWrite)])]
    public void SetupSocketWriter()
    {
        OpenSocket();
        var owner = new QuietOwner();
        var reader = new SocketPipeReader(_socket, _pool, owner, maxReadBufferSize: 0);
        var writer = new SocketPipeWriter(_socket, _pool, owner, maxWriteBufferSize: 64 * 1024, reader);
        reader.AttachWriter(writer);
        _writer = writer;
    }

    [GlobalSetup(Targets = [nameof(PumpedPipeFlush), nameof(PumpedPipeWrite)])]
    public void SetupPumpedPipe()
    {
        OpenSocket();
        var pipe = new Pipe(new PipeOptions(_pool, PipeScheduler.Inline, PipeScheduler.Inline, useSynchronizationContext: false));
        _writer = pipe.Writer;
        Pump(pipe.Reader);
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
    [BenchmarkCategory(Buffered)]
    public bool PumpedPipeFlush() => FlushAndReceive();

    [Benchmark]
    [BenchmarkCategory(Buffered)]
    public bool SocketWriterFlush() => FlushAndReceive();

    [Benchmark(Baseline = true)]
    [BenchmarkCategory(Direct)]
    public bool PumpedPipeWrite() => WriteAndReceive();

    /// <summary>What is written is sent from where it lies, if nothing is queued before it.</summary>
    [Benchmark]
    [BenchmarkCategory(Direct)]
    public bool SocketWriterWrite() => WriteAndReceive();

    private void OpenSocket()
    {
        _payload = new byte[Bytes];
        _pool = new BlockPool();
        _worker = new WorkerByHand();
        (_socket, _peer) = _worker.OpenSocketPair();
    }

    private bool FlushAndReceive()
    {
        _writer.Write(_payload);
        return Receive(_writer.FlushAsync());
    }

    private bool WriteAndReceive() => Receive(_writer.WriteAsync(_payload));

    // Nothing waits: the socket has room for everything.
    private bool Receive(ValueTask<FlushResult> flush)
    {
        SocketPair.Receive(_peer, _received, Bytes);
        return flush.IsCompletedSuccessfully && !flush.Result.IsCompleted
            ? true
            : throw new InvalidOperationException("The flush did not send everything.");
    }

    // Goes on inside the flushes, until the process ends.
    private async void Pump(PipeReader reader)
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync().ConfigureAwait(false);
            if (Send(result.Buffer) != result.Buffer.Length)
            {
                throw new InvalidOperationException("The socket did not take everything.");
            }

            reader.AdvanceTo(result.Buffer.End);
        }
    }

    // In one system call, as the writer that it is compared with.
    private int Send(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsSingleSegment)
        {
            return _socket.Send(buffer.FirstSpan).ThrowIfError("send");
        }

        int count = 0;
        foreach (ReadOnlyMemory<byte> segment in buffer)
        {
            _segments[count++] = segment;
        }

        return _socket.Send(_segments.AsSpan(0, count)).ThrowIfError("sendmsg");
    }
}
