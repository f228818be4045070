using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Limits;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Looks at all connections of the transport from time to time, for their limits: one timer for all of them, and none while no connection
/// has a limit. It is one turn, on a worker, which at any time is in one place only: in the timer, in a queue, or running.
/// </summary>
internal sealed class ConnectionSweep : Turn
{
    // Other turns get their worker after so many connections.
    private const int MaxConnectionsPerTurn = 256;

    private readonly WorkerGroup _group;
    private readonly ConnectionTracker _tracker;
    private readonly ILogger _logger;
    private readonly TurnTimer _timer;
    private readonly TrackedConnection?[] _share = new TrackedConnection?[MaxConnectionsPerTurn];
    private readonly long[] _reached = new long[(int)ConnectionLimit.MaxConnectionAge + 1];

    // How often it looks, as the endpoint with the shortest limit so far wants it, even if that is not bound any more. Interlocked.
    private long _interval = long.MaxValue;

    // Connections that have limits. Interlocked.
    private int _watched;

    // 0 while there is none of these, and nobody looks; then 1. Interlocked.
    private int _isOn;

    // Of the turn: the look at all of them has begun, and goes on.
    private bool _isInMiddle;

    internal ConnectionSweep(WorkerGroup group, ConnectionTracker tracker, ILogger logger)
    {
        _group = group;
        _tracker = tracker;
        _logger = logger;
        _timer = new TurnTimer(this);
    }

    /// <summary>Does it look from time to time? Off a while after the last connection with limits has ended. Any thread.</summary>
    internal bool IsOn => Volatile.Read(ref _isOn) != 0;

    /// <summary>How many connections have reached the limit. Any thread.</summary>
    internal long CountReached(ConnectionLimit limit) => Volatile.Read(ref _reached[(int)limit]);

    /// <summary>
    /// Before there are connections with such limits. A longer pause that has begun is no longer than a second. Any thread.
    /// </summary>
    internal void Prepare(ConnectionLimits limits)
    {
        for (long interval = Volatile.Read(ref _interval); limits.LookInterval < interval;)
        {
            interval = Interlocked.CompareExchange(ref _interval, limits.LookInterval, interval);
        }
    }

    /// <summary>After a connection with limits has been added to the tracker. If this throws, it is not looked at. Any thread.</summary>
    internal void OnConnectionAdded()
    {
        Interlocked.Increment(ref _watched);
        try
        {
            BeginUnlessOn();
        }
        catch
        {
            OnConnectionRemoved();
            throw;
        }
    }

    /// <summary>When such a connection has ended, once. Any thread.</summary>
    internal void OnConnectionRemoved() => Interlocked.Decrement(ref _watched);

    internal override void Run()
    {
        try
        {
            LookAtShare();
        }
        catch (Exception e)
        {
            // Somebody's code, a logger perhaps. The limits of all the others are to be kept.
            _isInMiddle = false;
            NetpollTransportLog.UnexpectedException(_logger, connectionId: null, e);
        }

        if (_isInMiddle)
        {
            _group.Schedule(this);
        }
        else if (Volatile.Read(ref _watched) != 0)
        {
            Arm();
        }
        else
        {
            // Either this sees the connection that is being added, or the one who adds it sees that nobody looks.
            Interlocked.Exchange(ref _isOn, 0);
            if (Volatile.Read(ref _watched) != 0)
            {
                BeginUnlessOn();
            }
        }
    }

    internal override void OnUnhandledException(Exception exception) =>
        NetpollTransportLog.UnexpectedException(_logger, connectionId: null, exception);

    private void LookAtShare()
    {
        int count = _tracker.Visit(_share, fromStart: !_isInMiddle, out bool hasMore);
        _isInMiddle = hasMore;
        long now = MonotonicClock.Now;
        Span<TrackedConnection?> share = _share.AsSpan(0, count);
        try
        {
            foreach (TrackedConnection? connection in share)
            {
                ConnectionLimit limit = connection!.LookAtLimits(now);
                if (limit != ConnectionLimit.None)
                {
                    Volatile.Write(ref _reached[(int)limit], _reached[(int)limit] + 1);
                    connection.OnLimitReached(limit);
                }
            }
        }
        finally
        {
            share.Clear();
        }
    }

    private void BeginUnlessOn()
    {
        if (Volatile.Read(ref _isOn) == 0 && Interlocked.Exchange(ref _isOn, 1) == 0)
        {
            Arm();
        }
    }

    private void Arm()
    {
        try
        {
            _group.ScheduleAt(_timer, MonotonicClock.Now + Volatile.Read(ref _interval));
        }
        catch
        {
            // There is no memory for it. The next connection tries again.
            Interlocked.Exchange(ref _isOn, 0);
            throw;
        }
    }
}
