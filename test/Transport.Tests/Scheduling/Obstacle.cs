using System.Collections.Concurrent;
using System.IO.Pipes;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>Blocks threads in one of several ways until it is released.</summary>
internal sealed class Obstacle(string way) : IDisposable
{
    private readonly ManualResetEventSlim _event = new();
    private readonly SemaphoreSlim _semaphore = new(0);
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _task = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentBag<AnonymousPipeServerStream> _pipes = [];
    private readonly ConcurrentQueue<Thread> _threads = new();
    private volatile bool _released;

    /// <summary>Those that have come to it, also before it was released.</summary>
    internal IReadOnlyCollection<Thread> Threads => _threads;

    internal void Block()
    {
        switch (way)
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
                throw new ArgumentException($"There is no such way: {way}.");
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

        _event.Dispose();
        _semaphore.Dispose();
    }

    private void Enter() => _threads.Enqueue(Thread.CurrentThread);
}
