using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// From one thread to another and back. The way there differs; the way back is always a <see cref="Parker"/>, so that
/// half of <see cref="ParkedThread"/>, twice the same futex, is what the way back costs, and the rest of each figure the way there. Compare
/// <see cref="ScheduledTurn"/>, which signals the eventfd of a worker that sleeps in epoll_wait, with <see cref="ThreadPoolItem"/>: the
/// pool's threads spin for a moment before they sleep, which the workers never do, so that the pool may not have to wake anybody.
/// </summary>
public class WakeUpBenchmarks
{
    private readonly byte[] _byte = [1];
    private readonly Parker _answered = new(SystemCalls.Instance);
    private readonly Parker _asked = new(SystemCalls.Instance);
    private NetpollRuntime _runtime = null!;
    private WorkerGroup _group = null!;
    private AnswerTurn _answer = null!;
    private StreamSocket _socket = null!;
    private int _peer;
    private Thread _thread = null!;
    private volatile bool _stopping;

    [GlobalSetup]
    public void Setup()
    {
        _runtime = new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = 1, Name = "benchmark" });
        _group = _runtime.Groups[0];
        _answer = new AnswerTurn(_answered);
        (_socket, _peer) = SocketPair.Open(_group);
        new ReceiveTurn(_socket, _answered).Start();
        _thread = new Thread(AnswerUntilStopped) { IsBackground = true, Name = "benchmark parked" };
        _thread.Start();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _stopping = true;
        _asked.Unpark();
        _thread.Join();
        _socket.Close();
        _runtime.Dispose();
        SystemCalls.Instance.Close(_peer);
    }

    /// <summary>A thread that does nothing else but park.</summary>
    [Benchmark(Baseline = true)]
    public bool ParkedThread()
    {
        _asked.Unpark();
        return _answered.Park(timeoutNanoseconds: -1);
    }

    /// <summary>A turn, scheduled from a thread that is no worker, while the only worker sleeps.</summary>
    [Benchmark]
    public bool ScheduledTurn()
    {
        WaitUntilWorkerSleeps();
        _group.Schedule(_answer);
        return _answered.Park(timeoutNanoseconds: -1);
    }

    /// <summary>A byte, for which a turn of the only worker, which sleeps, is parked; the turn receives it.</summary>
    [Benchmark]
    public bool SocketEvent()
    {
        WaitUntilWorkerSleeps();
        SocketPair.Send(_peer, _byte);
        return _answered.Park(timeoutNanoseconds: -1);
    }

    [Benchmark]
    public bool ThreadPoolItem()
    {
        ThreadPool.UnsafeQueueUserWorkItem(_answer, preferLocal: false);
        return _answered.Park(timeoutNanoseconds: -1);
    }

    // It has answered from inside its last turn. Without this, a turn that it finds before it sleeps would count as a wake-up.
    private void WaitUntilWorkerSleeps()
    {
        var spinner = default(SpinWait);
        while (_group.Sleepers == 0)
        {
            spinner.SpinOnce(sleep1Threshold: -1);
        }
    }

    private void AnswerUntilStopped()
    {
        while (!_stopping)
        {
            _asked.Park(timeoutNanoseconds: -1);
            _answered.Unpark();
        }
    }

    private sealed class AnswerTurn(Parker answered) : Turn, IThreadPoolWorkItem
    {
        public void Execute() => answered.Unpark();

        internal override void Run() => answered.Unpark();

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }

    private sealed class ReceiveTurn(StreamSocket socket, Parker answered) : Turn
    {
        private readonly byte[] _buffer = new byte[16];

        internal void Start() => ReceiveAndPark();

        internal override void Run()
        {
            if (socket.EndWaitReadable() == PollResult.Ready && ReceiveAndPark())
            {
                answered.Unpark();
            }
        }

        internal override void OnUnhandledException(Exception exception) => throw exception;

        // True: a byte came.
        private bool ReceiveAndPark()
        {
            bool received = false;
            do
            {
                received |= socket.Receive(_buffer).IsSuccess;
            }
            while (socket.BeginWaitReadable(this) == PollResult.Ready);
            return received;
        }
    }
}
