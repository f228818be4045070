using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>
/// What the engine relies on, whichever backend it has, over real descriptors. A backend derives its own class and says how it is made.
/// </summary>
public abstract partial class PollerContractTests : IDisposable
{
    private const long Forever = -1;
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;

    private readonly SystemCalls _systemCalls = SystemCalls.Instance;
    private readonly List<int> _open = [];
    private readonly Poller _poller;
    private readonly PollEventBatch _batch;
    private readonly ReadyList _ready = new(4);

    protected PollerContractTests()
    {
        _poller = Create(_systemCalls, new DeadlineHeap());
        _batch = _poller.CreateBatch(16);
    }

    public void Dispose()
    {
        foreach (int fd in _open)
        {
            _systemCalls.Close(fd);
        }

        _poller.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected abstract Poller Create(SystemCalls systemCalls, DeadlineHeap deadlines);

    private (int Ours, int Theirs) SocketPair()
    {
        SyscallResult made = _systemCalls.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int first, out int second);
        Assert.True(made.IsSuccess, made.ToString());
        _open.AddRange([first, second]);
        return (first, second);
    }

    private (int Read, int Write) Pipe()
    {
        SyscallResult made = _systemCalls.Pipe2(out int read, out int write, LibC.O_NONBLOCK);
        Assert.True(made.IsSuccess, made.ToString());
        _open.AddRange([read, write]);
        return (read, write);
    }

    /// <summary>The first is a descriptor to register; the second is the peer's.</summary>
    private static (Socket Ours, Socket Theirs) ConnectTcp()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Socket theirs = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        theirs.Connect(listener.LocalEndPoint!);
        Socket ours = listener.Accept();
        ours.Blocking = false;
        return (ours, theirs);
    }

    private static int NumberOf(Socket socket) => (int)socket.SafeHandle.DangerousGetHandle();

    private void CloseNumber(int fd)
    {
        Assert.True(_open.Remove(fd));
        Assert.True(_systemCalls.Close(fd).IsSuccess);
    }

    private void Write(int fd, int count = 1) => Assert.Equal(count, _systemCalls.Write(fd, new byte[count]).Value);

    private SyscallResult Read(int fd) => _systemCalls.Read(fd, new byte[16]);

    /// <summary>One byte short of what fits would do as well; it must not be writable.</summary>
    private void Fill(int fd)
    {
        byte[] block = new byte[64 * 1024];
        while (_systemCalls.Write(fd, block).IsSuccess) { }

        while (_systemCalls.Write(fd, block.AsSpan(0, 1)).IsSuccess) { }
    }

    private List<PollEvent> Fetch(long timeout = 0)
    {
        _poller.Wait(_batch, timeout);
        List<PollEvent> events = [];
        for (int i = 0; i < _batch.Count; i++)
        {
            events.Add(_batch[i]);
        }

        return events;
    }

    private bool Dispatch(in PollEvent pollEvent) => Dispatch(in pollEvent, _ready);

    private bool Dispatch(in PollEvent pollEvent, ReadyList ready)
    {
        bool current = _poller.Dispatch(in pollEvent, ready);
        for (int i = 0; i < ready.Count; i++)
        {
            ((ParkedWaiter)ready.Take(i)).Wake();
        }

        ready.Clear();
        ready.TakeUnread();
        return current;
    }

    /// <summary>Fetches and dispatches what there is, until there is nothing more.</summary>
    private void Pump()
    {
        List<PollEvent> events;
        while ((events = Fetch()).Count != 0)
        {
            events.ForEach(one => Dispatch(one));
        }
    }

    /// <summary>Waits for events as a worker does, until something has become true.</summary>
    private void PumpUntil(Func<bool> condition, string what) => Patience.Until(
        () =>
        {
            Fetch(Millisecond).ForEach(one => Dispatch(one));
            return condition();
        },
        what);

    private void PumpUntilWoken(ParkedWaiter waiter) => PumpUntil(() => waiter.Wakes != 0, "the waiter is woken");

    /// <summary>Waits in a direction as an operation does: until the system call is worth trying.</summary>
    private void AwaitReadable(PolledFile file)
    {
        if (file.ParkReader() == PollResult.Pending)
        {
            PumpUntilWoken(file.Reader);
            Assert.Equal(PollResult.Ready, file.Slot.EndWait(PollMode.Read));
        }
    }

    /// <summary>A thread that fetches and dispatches, until it is stopped.</summary>
    private Thread StartPump(Func<bool> stopped)
    {
        Thread thread = new(() =>
        {
            PollEventBatch batch = _poller.CreateBatch(2);
            ReadyList ready = new(2);
            while (!stopped())
            {
                _poller.Wait(batch, Forever);
                for (int i = 0; i < batch.Count; i++)
                {
                    Dispatch(in batch[i], ready);
                }
            }

            // One signal wakes one thread; it is handed on until all have gone.
            _poller.Wake();
        })
        { IsBackground = true, Name = "pump" };
        thread.Start();
        return thread;
    }
}
