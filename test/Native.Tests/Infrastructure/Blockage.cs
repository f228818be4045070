using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>What keeps a turn's thread from going on.</summary>
public enum BlockageKind
{
    Sleep,
    Lock,
    Task,
    Semaphore,
    Event,
    Monitor,
    KernelRead,
    KernelSocket,
    NativeSleep,
    Computing,
}

/// <summary>Blocks threads in one of several ways, from their <see cref="Block"/> to the <see cref="Release"/>.</summary>
internal sealed class Blockage : IDisposable
{
    private const uint NativeSleepMicroseconds = 50_000;

    private readonly BlockageKind _kind;
    private readonly TaskCompletionSource _task = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEvent _event = new(initialState: false);
    private readonly SemaphoreSlim _semaphore = new(0);
    private readonly Lock _lock = new();
    private readonly object _monitor = new();
    private readonly Thread? _lockHolder;
    private readonly (Socket Read, Socket Write)? _sockets;
    private readonly int _readEnd = -1;
    private readonly int _writeEnd = -1;
    private int _entered;
    private int _left;
    private volatile bool _released;

    internal Blockage(BlockageKind kind)
    {
        _kind = kind;
        if (kind == BlockageKind.KernelRead)
        {
            Assert.True(SystemCalls.Instance.Pipe2(out _readEnd, out _writeEnd, 0).IsSuccess);
        }
        else if (kind == BlockageKind.KernelSocket)
        {
            _sockets = ConnectSockets();
        }
        else if (kind == BlockageKind.Lock)
        {
            using ManualResetEventSlim locked = new();
            _lockHolder = new Thread(() =>
            {
                lock (_lock)
                {
                    locked.Set();
                    _event.WaitOne();
                }
            })
            { IsBackground = true, Name = "holder of the lock" };
            _lockHolder.Start();
            locked.WaitInTime("the lock is held");
        }
    }

    internal int Entered => Volatile.Read(ref _entered);

    internal int Left => Volatile.Read(ref _left);

    internal void Block()
    {
        Interlocked.Increment(ref _entered);
        switch (_kind)
        {
            case BlockageKind.Sleep:
                while (!_released)
                {
                    Thread.Sleep(5);
                }

                break;
            case BlockageKind.Lock:
                lock (_lock)
                {
                    Assert.True(_released);
                }

                break;
            case BlockageKind.Task:
                _task.Task.Wait();
                break;
            case BlockageKind.Semaphore:
                _semaphore.Wait();
                _semaphore.Release();
                break;
            case BlockageKind.Event:
                _event.WaitOne();
                break;
            case BlockageKind.Monitor:
                lock (_monitor)
                {
                    while (!_released)
                    {
                        Monitor.Wait(_monitor);
                    }
                }

                break;
            case BlockageKind.KernelSocket:
                _sockets!.Value.Read.Receive(new byte[1]);
                break;
            case BlockageKind.NativeSleep:
                // As in a library that knows nothing of .NET.
                while (!_released)
                {
                    TestLibC.usleep(NativeSleepMicroseconds);
                }

                break;
            case BlockageKind.KernelRead:
                // Ends for all of them when the other end is closed.
                SystemCalls.Instance.Read(_readEnd, new byte[1]);
                break;
            case BlockageKind.Computing:
                while (!_released)
                {
                    Thread.SpinWait(100);
                }

                break;
        }

        Interlocked.Increment(ref _left);
    }

    internal void WaitUntilEntered(int count = 1) => WaitInSteps(() => Entered, count, "block");

    internal void Release()
    {
        if (_released)
        {
            return;
        }

        _released = true;
        _task.SetResult();
        _semaphore.Release();
        _event.Set();
        lock (_monitor)
        {
            Monitor.PulseAll(_monitor);
        }

        _sockets?.Write.Dispose();
        if (_writeEnd >= 0)
        {
            SystemCalls.Instance.Close(_writeEnd);
        }
    }

    /// <summary>Releases, and waits until everybody has left.</summary>
    public void Dispose()
    {
        Release();
        WaitInSteps(() => Left, Entered, "have left");
        _lockHolder?.JoinInTime();
        _sockets?.Read.Dispose();
        if (_readEnd >= 0)
        {
            SystemCalls.Instance.Close(_readEnd);
        }
    }

    private static (Socket Read, Socket Write) ConnectSockets()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(SocketPairs.AnyPortV4);
        listener.Listen();
        Socket write = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        write.Connect(listener.LocalEndPoint!);
        return (listener.Accept(), write);
    }

    // Patience with each of them: a thousand threads take their time on a busy machine.
    private static void WaitInSteps(Func<int> reached, int count, string what)
    {
        for (int i = 1; i <= count; i++)
        {
            int step = i;
            Patience.Until(() => reached() >= step, $"{step} of {count} turns {what}");
        }
    }
}
