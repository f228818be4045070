using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO.Pipes;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// Pipes into which somebody writes a byte a fixed time after it was asked for. Whoever waits for the byte sits in <c>read(2)</c>: a block
/// that .NET knows nothing of. Thread-safe.
/// </summary>
/// <remarks>The writer has a thread of its own: on a starving thread pool, a timer would wait for those that wait for it.</remarks>
internal sealed class DelayedPipes : IDisposable
{
    private readonly TimeSpan _delay;
    private readonly BlockingCollection<(long AskedAt, BytePipe Pipe)> _asked = [];
    private readonly ConcurrentBag<BytePipe> _idle = [];

    internal DelayedPipes(TimeSpan delay)
    {
        _delay = delay;
        new Thread(Feed) { IsBackground = true, Name = "Pipe feeder" }.Start();
    }

    internal void WaitForByte()
    {
        if (!_idle.TryTake(out BytePipe? pipe))
        {
            pipe = new BytePipe();
        }

        _asked.Add((Stopwatch.GetTimestamp(), pipe));
        pipe.Read();
        _idle.Add(pipe);
    }

    public void Dispose()
    {
        _asked.CompleteAdding();
        while (_idle.TryTake(out BytePipe? pipe))
        {
            pipe.Dispose();
        }
    }

    // The delay is the same for all, so that those who asked first are due first.
    private void Feed()
    {
        foreach ((long askedAt, BytePipe pipe) in _asked.GetConsumingEnumerable())
        {
            TimeSpan left = _delay - Stopwatch.GetElapsedTime(askedAt);
            if (left > TimeSpan.Zero)
            {
                Thread.Sleep((int)Math.Ceiling(left.TotalMilliseconds));
            }

            pipe.Write();
        }
    }

    private sealed class BytePipe : IDisposable
    {
        private readonly AnonymousPipeServerStream _writer = new(PipeDirection.Out);
        private readonly AnonymousPipeClientStream _reader;

        internal BytePipe() => _reader = new AnonymousPipeClientStream(PipeDirection.In, _writer.ClientSafePipeHandle);

        internal void Read()
        {
            if (_reader.ReadByte() < 0)
            {
                throw new EndOfStreamException();
            }
        }

        internal void Write() => _writer.WriteByte(1);

        public void Dispose()
        {
            _reader.Dispose();
            _writer.Dispose();
        }
    }
}
