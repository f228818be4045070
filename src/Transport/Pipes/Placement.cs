namespace KestrelNetpoll.Transport.Pipes;

/// <summary>Where the turns run in which the application goes on.</summary>
internal enum Placement : byte
{
    /// <summary>On workers.</summary>
    Workers,

    /// <summary>On workers; those that answer a read on the thread pool, if the connection's requests go on there anyway after much
    /// work.</summary>
    Learned,

    /// <summary>On the thread pool.</summary>
    ThreadPool,
}
