using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// One byte through the poller, on one thread: a turn parks, the peer sends, the event is fetched and dispatched, the turn runs and
/// receives. Compare with the same three system calls (send, epoll_wait, recv) and nothing else: the difference is the engine.
/// </summary>
public class EpollRoundTripBenchmarks
{
    private readonly byte[] _byte = [1];
    private WorkerByHand _worker = null!;
    private ReceiveTurn _turn = null!;
    private int _peer;

    private int _epoll;
    private int _bareReceiver;
    private int _bareSender;
    private EpollEventBuffer _events = null!;

    [GlobalSetup]
    public void Setup()
    {
        _worker = new WorkerByHand();
        (StreamSocket socket, _peer) = _worker.OpenSocketPair();
        _turn = new ReceiveTurn(socket);

        _epoll = SystemCalls.Instance.EpollCreate().ThrowIfError("epoll_create1");
        _events = new EpollEventBuffer(8, EpollEventLayout.Current);
        (_bareReceiver, _bareSender) = SocketPair.Open();
        const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLET;
        SystemCalls.Instance.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, _bareReceiver, Interest, data: 1).ThrowIfError("epoll_ctl");
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _turn.Socket.Close();
        _worker.Dispose();
        SystemCalls.Instance.Close(_peer);
        SystemCalls.Instance.Close(_bareReceiver);
        SystemCalls.Instance.Close(_bareSender);
        SystemCalls.Instance.Close(_epoll);
    }

    [Benchmark(Baseline = true)]
    public int SystemCallsOnly()
    {
        SocketPair.Send(_bareSender, _byte);
        SystemCalls.Instance.EpollWait(_epoll, _events, _events.Capacity, timeoutMilliseconds: 0).ThrowIfError("epoll_wait");
        return SystemCalls.Instance.Recv(_bareReceiver, _byte, flags: 0).ThrowIfError("recv");
    }

    [Benchmark]
    public int ThroughTheEngine()
    {
        _turn.Park();
        SocketPair.Send(_peer, _byte);
        _worker.RunEvents();
        return _turn.Received;
    }

    private sealed class ReceiveTurn(StreamSocket socket) : Turn
    {
        private readonly byte[] _buffer = new byte[16];

        internal StreamSocket Socket => socket;

        internal int Received { get; private set; }

        internal void Park()
        {
            // A socket is writable when it is registered: its first event also says so, and may have left a readable edge behind.
            while (socket.BeginWaitReadable(this) != PollResult.Pending)
            {
                socket.Receive(_buffer);
            }
        }

        internal override void Run()
        {
            socket.EndWaitReadable();
            Received = socket.Receive(_buffer).ThrowIfError("recv");
        }

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }
}
