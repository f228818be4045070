using System.Collections.Concurrent;
using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>Blocks threads in one of several ways until it is released.</summary>
internal sealed class Obstacle : IDisposable
{
    private readonly string _way;
    private readonly object _pulsed = new();
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly EndPoint _listenerAddress;
    private readonly ManualResetEventSlim _event = new();
    private readonly SemaphoreSlim _semaphore = new(0);
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _task = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentBag<AnonymousPipeServerStream> _pipes = [];
    private readonly ConcurrentQueue<Thread> _threads = new();
    private volatile bool _released;

    internal Obstacle(string way)
    {
        _way = way;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _listenerAddress = _listener.LocalEndPoint!;
    }

    /// <summary>Those that have come to it, also before it was released.</summary>
    internal IReadOnlyCollection<Thread> Threads => _threads;

    internal void Block()
    {
        switch (_way)
        {
            case "sleep":
                Enter();
                while (!_released)
                {
                    Thread.Sleep(50);
                }

                break;
            case "event":
                Enter();
                _event.Wait(CancellationToken.None);
                break;
            case "lock":
                // The first one in keeps the others out.
                Enter();
                lock (_lock)
                {
                    _event.Wait(CancellationToken.None);
                }

                break;
            case "task":
                Enter();
                _task.Task.Wait(CancellationToken.None);
                break;
            case "semaphore":
                Enter();
                _semaphore.Wait(CancellationToken.None);
                _semaphore.Release();
                break;
            case "monitor":
                Enter();
                lock (_pulsed)
                {
                    while (!_released)
                    {
                        Monitor.Wait(_pulsed);
                    }
                }

                break;
            case "socket":
                Enter();
                using (Socket reading = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
                {
                    try
                    {
                        reading.Connect(_listenerAddress);
                        reading.Receive(new byte[1]);
                    }
                    catch (SocketException)
                    {
                        // Nobody accepts it: the end of the listener resets it.
                    }
                }

                break;
            case "kernel":
                AnonymousPipeServerStream pipe = new(PipeDirection.Out);
                using (AnonymousPipeClientStream reading = new(PipeDirection.In, pipe.ClientSafePipeHandle))
                {
                    _pipes.Add(pipe);
                    Enter();
                    reading.ReadByte();
                }

                break;
            default:
                throw new ArgumentException($"There is no such way: {_way}.");
        }
    }

    internal void Release()
    {
        if (_released)
        {
            return;
        }

        _released = true;
        _event.Set();
        _semaphore.Release();
        _task.TrySetResult();
        lock (_pulsed)
        {
            Monitor.PulseAll(_pulsed);
        }

        // Whoever is connected, and whoever is on the way, sees the end of the listener.
        _listener.Dispose();
        foreach (AnonymousPipeServerStream pipe in _pipes)
        {
            pipe.WriteByte(1);
        }
    }

    /// <summary>Only for "event" and "sleep".</summary>
    internal void BlockAgain()
    {
        _released = false;
        _event.Reset();
    }

    public void Dispose()
    {
        foreach (AnonymousPipeServerStream pipe in _pipes)
        {
            pipe.Dispose();
        }

        _listener.Dispose();
        _event.Dispose();
        _semaphore.Dispose();
    }

    private void Enter() => _threads.Enqueue(Thread.CurrentThread);
}
