using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// A turn of one half of a connection. It runs on a worker; or, if the application goes on in it, where <see cref="Placement"/> says. The
/// turn as a whole moves, so that everything which is tied to a turn, such as what its end sends, stays true. What it throws ends the
/// connection.
/// </summary>
/// <param name="half">Whose turn it is.</param>
/// <param name="run">What it does. Static, so that a connection needs no delegate of its own.</param>
/// <param name="group">The workers.</param>
/// <param name="owner">The connection.</param>
/// <param name="placement">Where it runs.</param>
/// <typeparam name="T">The half.</typeparam>
internal sealed class ConnectionTurn<T>(T half, Action<T> run, WorkerGroup group, ISocketPipeOwner owner, Placement placement)
    : Turn, IThreadPoolWorkItem
    where T : class
{
    internal override object Subject => owner;

    /// <summary>To be scheduled once at a time, like any turn.</summary>
    internal void Schedule()
    {
        if (placement == Placement.ThreadPool)
        {
            ThreadPoolQueue.Add(this);
        }
        else if (placement == Placement.Learned && owner.PrefersThreadPool)
        {
            group.Pooled.Add(this);
        }
        else
        {
            group.Schedule(this);
        }
    }

    internal override void Run()
    {
        if (IsInPlace)
        {
            run(half);
        }
        else
        {
            Schedule();
        }
    }

    internal override void OnUnhandledException(Exception exception) => owner.OnUnexpectedException(exception);

    // Where the pool is late, a worker does as well; and once no worker is left, the pool.
    private bool IsInPlace => placement switch
    {
        Placement.ThreadPool => Thread.CurrentThread.IsThreadPoolThread,
        Placement.Learned => !owner.PrefersThreadPool || group.Pooled.IsLate || Thread.CurrentThread.IsThreadPoolThread,
        _ => true,
    };

    void IThreadPoolWorkItem.Execute() => Worker.RunGuarded(this);
}
