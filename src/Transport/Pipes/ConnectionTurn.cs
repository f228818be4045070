using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// A turn that the application goes on in: on a worker, or, if its code is to run on the thread pool (<see cref="ApplicationScheduling"/>),
/// there. The turn as a whole moves, so that everything which is tied to a turn, such as what its end sends, stays true.
/// </summary>
internal abstract class ConnectionTurn(WorkerGroup group, bool onThreadPool) : Turn, IThreadPoolWorkItem
{
    internal sealed override void Run()
    {
        if (onThreadPool && !Thread.CurrentThread.IsThreadPoolThread)
        {
            ThreadPoolQueue.Add(this);
        }
        else
        {
            RunHere();
        }
    }

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

    void IThreadPoolWorkItem.Execute() => Worker.RunGuarded(this);

    protected abstract void RunHere();
}
