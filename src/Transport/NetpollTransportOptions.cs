using KestrelNetpoll.Transport.Internal;

namespace KestrelNetpoll.Transport;

/// <summary>
/// Options of the netpoll transport. They are read once, when Kestrel binds its first endpoint; later changes have no effect.
/// A value out of its range stops the host at start, with a message that names the option, the value and the range.
/// </summary>
/// <remarks>Not thread-safe: configure it where the host is built.</remarks>
public sealed class NetpollTransportOptions
{
    internal const int MinWorkerCount = 1;
    internal const int MaxWorkerCount = 1024;
    internal const long DefaultMaxReadBufferSize = 1024 * 1024;
    internal const long DefaultMaxWriteBufferSize = 64 * 1024;

    /// <summary>
    /// Gets or sets how many threads run the connections of this process: they wait for readiness, receive, run the
    /// application's code and send.
    /// </summary>
    /// <value>Threads, 1 to 1024. The default is <see cref="Environment.ProcessorCount"/>.</value>
    public int WorkerCount { get; set; } = Math.Clamp(Environment.ProcessorCount, MinWorkerCount, MaxWorkerCount);

    /// <summary>
    /// Gets or sets how many established connections the kernel keeps for each endpoint until they are accepted.
    /// The kernel lowers it to <c>net.core.somaxconn</c>.
    /// </summary>
    /// <value>
    /// Connections, 1 or more. The default is the system's <c>net.core.somaxconn</c>, or 512 where that cannot be read.
    /// </value>
    public int Backlog { get; set; } = PlatformSupport.ReadListenBacklog();

    /// <summary>
    /// Gets or sets whether small writes are sent at once (<c>TCP_NODELAY</c>) instead of being held back while earlier ones
    /// are unacknowledged (Nagle's algorithm).
    /// </summary>
    /// <value>The default is <see langword="true"/>.</value>
    public bool NoDelay { get; set; } = true;

    /// <summary>
    /// Gets or sets how much received data a connection holds for the application: what it has not consumed yet. Receiving is done
    /// when the application reads, so this bounds what one read offers, and what is read ahead when the peer ends the connection.
    /// An application that examines everything and consumes nothing gets more all the same.
    /// </summary>
    /// <value>Bytes, up to 2,147,483,647; <see langword="null"/> or 0 means no limit. The default is 1 MiB.</value>
    public long? MaxReadBufferSize { get; set; } = DefaultMaxReadBufferSize;

    /// <summary>
    /// Gets or sets how much flushed data a connection holds that the kernel has not taken yet. From this size on a flush
    /// is incomplete; it completes below half of it.
    /// </summary>
    /// <value>Bytes, up to 2,147,483,647; <see langword="null"/> or 0 means no limit. The default is 64 KiB.</value>
    public long? MaxWriteBufferSize { get; set; } = DefaultMaxWriteBufferSize;
}
