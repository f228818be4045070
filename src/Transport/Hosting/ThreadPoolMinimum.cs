namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// The minimum of the thread pool, which belongs to the whole process: several hosts in it may stop at the same time, and each of them may
/// want more threads. The first one finds out what the minimum was, and the last one puts that back. Thread-safe.
/// </summary>
internal sealed class ThreadPoolMinimum
{
    // What hundreds of threads cost is bearable for a process that ends. More would hardly end it sooner.
    private const int MostThreads = 256;

    /// <summary>The one for the pool that there is. Tests have one of their own.</summary>
    internal static readonly ThreadPoolMinimum OfProcess = new();

    // Guards everything below, and changes of the pool from here.
    private readonly Lock _lock = new();
    private int _holders;

    // What the minimum is without us, and what it has been set to here; the same until it has.
    private int _before;
    private int _set;

    /// <summary>Somebody may raise the minimum from now on. To be followed by <see cref="Leave"/>.</summary>
    internal void Enter()
    {
        lock (_lock)
        {
            if (_holders++ == 0)
            {
                ThreadPool.GetMinThreads(out _before, out _);
                _set = _before;
            }
        }
    }

    /// <summary>Raises the minimum, as far as is sensible. Never lowers it.</summary>
    internal void Raise(long wanted)
    {
        lock (_lock)
        {
            ThreadPool.GetMinThreads(out int now, out int completionPorts);
            if (now != _set)
            {
                // The application has changed it meanwhile, and is to find that again.
                _before = _set = now;
            }

            ThreadPool.GetMaxThreads(out int most, out _);
            int more = (int)Math.Min(wanted, Math.Min(_before + MostThreads, most));
            if (more > _set && ThreadPool.SetMinThreads(more, completionPorts))
            {
                _set = more;
            }
        }
    }

    /// <summary>The last one leaves the pool as it was found, unless somebody else has changed it meanwhile.</summary>
    internal void Leave()
    {
        lock (_lock)
        {
            if (--_holders != 0)
            {
                return;
            }

            ThreadPool.GetMinThreads(out int now, out int completionPorts);
            if (_set != _before && now == _set)
            {
                ThreadPool.SetMinThreads(_before, completionPorts);
            }
        }
    }
}
