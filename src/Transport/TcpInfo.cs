namespace KestrelNetpoll.Transport;

/// <summary>What the kernel has measured of a TCP connection by now.</summary>
public readonly record struct TcpInfo
{
    /// <summary>Gets the smoothed time from a segment to its acknowledgement, to the microsecond.</summary>
    public TimeSpan RoundTripTime { get; init; }

    /// <summary>Gets the mean deviation of the round-trip time.</summary>
    public TimeSpan RoundTripTimeVariation { get; init; }

    /// <summary>Gets the shortest round-trip time of the last minutes; <see langword="null"/> if the kernel has not measured one.</summary>
    public TimeSpan? MinRoundTripTime { get; init; }

    /// <summary>Gets how many segments have been sent once more since the connection was made.</summary>
    public long Retransmits { get; init; }

    /// <summary>Gets how many segments are on their way, sent and not acknowledged.</summary>
    public long UnacknowledgedSegments { get; init; }

    /// <summary>Gets how many of these the kernel takes for lost.</summary>
    public long LostSegments { get; init; }

    /// <summary>Gets how many segments may be on their way at once: the congestion window.</summary>
    public long CongestionWindow { get; init; }

    /// <summary>Gets how many bytes a segment has at most.</summary>
    public int SegmentSize { get; init; }

    /// <summary>
    /// Gets how fast data has reached the peer lately, in bytes a second; 0 before the first measurement, <see langword="null"/> where the
    /// kernel is older than Linux 4.9.
    /// </summary>
    public long? DeliveryRate { get; init; }

    /// <summary>Gets how many bytes the peer has acknowledged; <see langword="null"/> where the kernel is older than Linux 4.1.</summary>
    public long? BytesAcknowledged { get; init; }

    /// <summary>Gets how many bytes have not been sent yet; <see langword="null"/> where the kernel is older than Linux 4.6.</summary>
    public long? UnsentBytes { get; init; }

    /// <summary>Gets how many bytes have been sent once more; <see langword="null"/> where the kernel is older than Linux 4.19.</summary>
    public long? BytesRetransmitted { get; init; }
}
