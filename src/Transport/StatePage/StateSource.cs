using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>Where the state page gets what it shows. All may be called from any thread, several at once.</summary>
internal sealed class StateSource
{
    internal required MetricsSource Metrics { get; init; }

    /// <summary>As the transport has read them.</summary>
    internal required Func<NetpollTransportOptions> Options { get; init; }

    /// <summary>Why the transport cannot run; null: it can.</summary>
    internal required Func<string?> Obstacle { get; init; }

    internal required Func<string> Backend { get; init; }

    /// <summary>Null before the first endpoint is bound.</summary>
    internal required Func<ConnectionTracker?> Connections { get; init; }

    /// <summary>Are connections being ended, because the host stops or hands over?</summary>
    internal required Func<bool> IsEnding { get; init; }

    internal required BlockedTurnHistory BlockedTurns { get; init; }
}
