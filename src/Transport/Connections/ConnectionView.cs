namespace KestrelNetpoll.Transport.Connections;

/// <summary>What a connection was found doing, when somebody looked. The numbers were read one after the other while it went on.</summary>
/// <param name="Connection">It may have ended meanwhile.</param>
/// <param name="Phase">How far it has come.</param>
/// <param name="WaitsFor">What has to happen before it goes on.</param>
/// <param name="Received">Bytes received.</param>
/// <param name="Sent">Bytes that the kernel took for sending.</param>
/// <param name="Queued">Flushed bytes that the kernel has not taken.</param>
/// <param name="ReadDeadline">On the monotonic clock; 0: none, negative: it has passed.</param>
/// <param name="WriteDeadline">The same.</param>
internal readonly record struct ConnectionView(
    TrackedConnection Connection,
    ConnectionPhase Phase,
    ConnectionWait WaitsFor,
    long Received,
    long Sent,
    long Queued,
    long ReadDeadline,
    long WriteDeadline);

/// <summary>How far a connection has come.</summary>
internal enum ConnectionPhase
{
    /// <summary>Nobody has begun to read from it.</summary>
    New,

    Open,

    /// <summary>This side has closed it, or disposes of it.</summary>
    Ending,
}

/// <summary>What has to happen before a connection goes on.</summary>
internal enum ConnectionWait
{
    /// <summary>The application, or the server, has it: computes, waits for others, or blocks.</summary>
    Application,

    /// <summary>The peer has to send; or nobody has got to what it has sent.</summary>
    Input,

    /// <summary>The peer has to take what is queued.</summary>
    Output,

    /// <summary>A worker has to begin the read that is queued for it.</summary>
    Worker,
}
