using System.Globalization;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>Says from time to time who is still connected, while connections are to end. Thread-safe.</summary>
internal sealed class ConnectionReport(ILogger logger, TimeSpan interval) : IDisposable
{
    private const int MostNamed = 3;

    // Guards everything below.
    private readonly Lock _lock = new();
    private Timer? _timer;
    private bool _ended;

    /// <summary>It says something from time to time, now.</summary>
    internal bool IsRunning
    {
        get
        {
            lock (_lock)
            {
                return _timer is not null && !_ended;
            }
        }
    }

    /// <summary>Only the first call does something.</summary>
    /// <param name="connections">The connections.</param>
    /// <param name="occasion">What has begun just now, for the log: "the hand-over".</param>
    internal void Begin(ConnectionTracker connections, string occasion)
    {
        lock (_lock)
        {
            if (_timer is null && !_ended)
            {
                long begun = MonotonicClock.Now;
                _timer = new Timer(_ => Report(connections, occasion, begun), null, interval, interval);
            }
        }
    }

    /// <summary>Nobody is connected any more, or nobody cares.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _ended = true;
            _timer?.Dispose();
        }
    }

    private void Report(ConnectionTracker connections, string occasion, long begun)
    {
        long now = MonotonicClock.Now;

        // Clients' addresses are nothing for the log of every application that stops slowly.
        bool namesPeers = logger.IsEnabled(LogLevel.Debug);
        TrackedConnection[] oldest = connections.FindOldest(MostNamed, out int count);
        if (count != 0)
        {
            NetpollTransportLog.StillConnected(
                logger,
                count,
                SecondsOf(now - begun),
                occasion,
                string.Join("; ", oldest.Select(connection => Describe(connection, now, namesPeers))));
        }
    }

    private static string Describe(TrackedConnection connection, long now, bool namesPeer)
    {
        string peer = namesPeer ? $" from {connection.RemoteEndPoint}" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{connection.ConnectionId}{peer} to {connection.LocalEndPoint} for {SecondsOf(now - connection.AcceptedAt)} s");
    }

    private static long SecondsOf(long nanoseconds) => nanoseconds / (1000 * MonotonicClock.NanosecondsPerMillisecond);
}
