namespace KestrelNetpoll.Transport.Pipes;

/// <summary>Where the turns run in which the application goes on.</summary>
internal enum Placement : byte
{
    /// <summary>On workers.</summary>
    Workers,

    /// <summary>On workers; for a connection whose requests go on on the thread pool anyway, after much work, there.</summary>
    Learned,

    /// <summary>On the thread pool.</summary>
    ThreadPool,
}
