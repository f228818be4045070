using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>A connection as <see cref="ConnectionTracker"/> knows it.</summary>
internal abstract class TrackedConnection : ConnectionContext
{
    /// <summary>On the monotonic clock.</summary>
    internal long AcceptedAt { get; } = MonotonicClock.Now;

    /// <summary>Has Kestrel, or whatever it has handed the connection to, begun to read from it, or is it about to end? Any
    /// thread.</summary>
    internal abstract bool HasBegun { get; }

    /// <summary>Has this side closed it? Any thread.</summary>
    internal abstract bool IsClosed { get; }

    /// <summary>It has had several requests at once, or may: HTTP/2. Set by whoever has seen that, if anybody looks.</summary>
    internal volatile bool IsMultiplexed;

    public abstract ILogger Logger { get; }

    internal abstract long BytesReceived { get; }

    internal abstract long BytesSent { get; }

    /// <summary>What it is found doing. Any thread; asked for when somebody wants to know, and never otherwise.</summary>
    internal abstract ConnectionView View { get; }

    /// <summary>The limit of the options that it has reached, if any. One look at a time.</summary>
    /// <param name="now">On the monotonic clock.</param>
    internal abstract ConnectionLimit LookAtLimits(long now);

    /// <summary>After such a look: does what belongs to the limit.</summary>
    internal abstract void OnLimitReached(ConnectionLimit limit);

    // Links of the tracker's list; only it touches them, under its lock.
    internal TrackedConnection? Previous { get; set; }

    internal TrackedConnection? Next { get; set; }
}
