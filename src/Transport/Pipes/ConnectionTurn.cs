using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// A turn of one half of a connection. It runs on a worker; or, if the application goes on in it and is to run on the thread pool
/// (<see cref="ApplicationScheduling"/>), there. The turn as a whole moves, so that everything which is tied to a turn, such as what its
/// end sends, stays true. What it throws ends the connection.
/// </summary>
/// <param name="half">Whose turn it is.</param>
/// <param name="run">What it does. Static, so that a connection needs no delegate of its own.</param>
/// <param name="group">The workers.</param>
/// <param name="owner">The connection.</param>
/// <param name="onThreadPool">Does the application go on in it, on the thread pool?</param>
/// <typeparam name="T">The half.</typeparam>
internal sealed class ConnectionTurn<T>(T half, Action<T> run, WorkerGroup group, ISocketPipeOwner owner, bool onThreadPool = false)
    : Turn, IThreadPoolWorkItem
    where T : class
{
    internal override object Subject => owner;

    /// <summary>To be scheduled once at a time, like any turn.</summary>
    internal void Schedule()
    {
        if (onThreadPool)
        {
            ThreadPoolQueue.Add(this);
        }
        else
        {
            group.Schedule(this);
        }
    }

    internal override void Run()
    {
        if (onThreadPool && !Thread.CurrentThread.IsThreadPoolThread)
        {
            ThreadPoolQueue.Add(this);
        }
        else
        {
            run(half);
        }
    }

    internal override void OnUnhandledException(Exception exception) => owner.OnUnexpectedException(exception);

    void IThreadPoolWorkItem.Execute() => Worker.RunGuarded(this);
}
