namespace KestrelNetpoll.Transport;

/// <summary>From when on the health check of the netpoll transport complains. Not thread-safe: configure it where the check is
/// added.</summary>
public sealed class NetpollHealthCheckOptions
{
    /// <summary>
    /// Gets or sets how long work may wait for a worker before the transport counts as degraded. It is also the longest that the check
    /// itself takes: it queues a piece of work that does nothing, and waits for it.
    /// </summary>
    /// <value>More than zero, up to <see cref="StallBound"/>. The default is half a second.</value>
    public TimeSpan QueueTimeBound { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Gets or sets for how long no turn may begin while work waits before the transport counts as unhealthy. It is found out at the first
    /// check after that time, if an earlier one has found work waiting.
    /// </summary>
    /// <value>At least <see cref="QueueTimeBound"/>, and at most one day. The default is 10 seconds.</value>
    public TimeSpan StallBound { get; set; } = TimeSpan.FromSeconds(10);

    /// <exception cref="ArgumentException">A bound is out of its range.</exception>
    internal void Validate()
    {
        if (QueueTimeBound <= TimeSpan.Zero || QueueTimeBound > StallBound)
        {
            throw new ArgumentException(
                $"{nameof(NetpollHealthCheckOptions)}.{nameof(QueueTimeBound)} is {QueueTimeBound}; "
                + $"it must be more than zero, and at most {nameof(StallBound)}, which is {StallBound}.");
        }

        if (StallBound > TimeSpan.FromDays(1))
        {
            throw new ArgumentException(
                $"{nameof(NetpollHealthCheckOptions)}.{nameof(StallBound)} is {StallBound}; it must be at most {TimeSpan.FromDays(1)}.");
        }
    }
}
