using KestrelNetpoll.Native.Scheduling;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Makes log entries, events and measurements of what the monitor sees. The monitor's thread only hands over: everything that may run the
/// application's code happens on the thread pool.
/// </summary>
internal sealed class NetpollDiagnostics(ILogger logger, TimeProvider timeProvider) : INetpollDiagnostics, IMonitorObserver
{
    /// <summary>So many may wait for the thread pool; a sighting that comes then is not worth the memory.</summary>
    internal const int MaxPending = 256;

    private readonly BlockedTurnThrottle _throttle = new(timeProvider);

    // Interlocked: those that wait for the thread pool, and those that were left out because of that.
    private int _pending;
    private long _leftOut;

    public event EventHandler<BlockedTurnEventArgs>? BlockedTurn;

    /// <summary>Set before the engine starts.</summary>
    public long BlockedTurnThreshold { get; private set; }

    public bool WantsHandOffs => HandOffDelay?.IsListenedTo == true;

    /// <summary>Who names requests; null: nobody. Set before the engine starts.</summary>
    internal RequestNames? Names { get; private set; }

    /// <summary>Where the time until a hand-off is measured; null: nowhere. Set before the engine starts.</summary>
    internal HandOffDelay? HandOffDelay { get; set; }

    /// <summary>Before the engine starts.</summary>
    internal void Configure(NetpollTransportOptions options)
    {
        BlockedTurnThreshold = (options.BlockedTurnThreshold ?? TimeSpan.Zero).Ticks * TimeSpan.NanosecondsPerTick;

        // Where the application runs on the thread pool, no request can block a turn.
        bool canBlock = BlockedTurnThreshold != 0 && options.ApplicationScheduling != ApplicationScheduling.ThreadPool;
        Names = options.NameBlockedRequests && canBlock ? new RequestNames() : null;
    }

    public void OnBlockedTurn(BlockedTurnSighting sighting)
    {
        if (TryPend())
        {
            ThreadPoolQueue.Add(static state => state.Owner.Report(state.Sighting), (Owner: this, Sighting: sighting));
        }
        else
        {
            Interlocked.Increment(ref _leftOut);
        }
    }

    public void OnHandedOff(HandOffReason reason, long nanoseconds)
    {
        if (HandOffDelay is not null && TryPend())
        {
            ThreadPoolQueue.Add(
                static state => state.Owner.Record(state.Reason, state.Time), (Owner: this, Reason: reason, Time: nanoseconds));
        }
    }

    private bool TryPend()
    {
        if (Interlocked.Increment(ref _pending) <= MaxPending)
        {
            return true;
        }

        Interlocked.Decrement(ref _pending);
        return false;
    }

    // An exception here would be the end of the process.
    private void Record(HandOffReason reason, long nanoseconds)
    {
        Interlocked.Decrement(ref _pending);
        try
        {
            HandOffDelay!.Record(reason, nanoseconds);
        }
        catch (Exception)
        {
            // Whoever listens throws: a measurement is lost.
        }
    }

    private void Report(BlockedTurnSighting sighting)
    {
        Interlocked.Decrement(ref _pending);
        try
        {
            BlockedTurnEventArgs blocked = Describe(sighting);
            Log(blocked);
            Raise(blocked);
        }
        catch (Exception e)
        {
            NetpollTransportLog.DiagnosticsFailed(logger, e);
        }
    }

    private BlockedTurnEventArgs Describe(BlockedTurnSighting sighting)
    {
        // In this order: what is named while the turn lasts is the turn's.
        RequestName? request = Names?.Find(sighting.Thread);
        string? route = request?.Route;
        ThreadWhereabouts found = sighting.Locate();
        if (!sighting.Lasts)
        {
            request = null;
        }

        // What goes on after an await, under WorkersOnly, is a turn of nobody in particular.
        ITurnSubject? subject = request?.Connection ?? sighting.Turn?.Subject as ITurnSubject;
        return new BlockedTurnEventArgs
        {
            BlockedFor = TimeSpan.FromTicks(sighting.Nanoseconds / TimeSpan.NanosecondsPerTick),
            Cause = found.Occupation switch
            {
                ThreadOccupation.ManagedWait => BlockedTurnCause.ManagedWait,
                ThreadOccupation.KernelCall => BlockedTurnCause.KernelCall,
                ThreadOccupation.Computing => BlockedTurnCause.Computing,
                _ => BlockedTurnCause.Unknown,
            },
            KernelCall = found.KernelCall,
            ConnectionId = subject?.ConnectionId,
            RemoteEndPoint = subject?.RemoteEndPoint,
            LocalEndPoint = subject?.LocalEndPoint,
            Method = request?.Method,
            Path = request?.Path,
            Route = request is null ? null : route,
            ThreadId = sighting.ThreadId,
        };
    }

    private void Log(BlockedTurnEventArgs blocked)
    {
        var kind = new BlockedTurnThrottle.Kind(blocked.Cause, blocked.KernelCall, blocked.Route ?? blocked.Path);
        if (!logger.IsEnabled(LogLevel.Warning) || !_throttle.TryEnter(kind, out long suppressed))
        {
            return;
        }

        NetpollTransportLog.BlockedTurn(
            logger,
            blocked.ThreadId,
            (long)blocked.BlockedFor.TotalMilliseconds,
            DescribeCause(blocked),
            DescribeRequest(blocked),
            blocked.ConnectionId,
            blocked.RemoteEndPoint,
            blocked.LocalEndPoint,
            suppressed + Interlocked.Exchange(ref _leftOut, 0));
    }

    private void Raise(BlockedTurnEventArgs blocked)
    {
        foreach (EventHandler<BlockedTurnEventArgs> handler in Delegate.EnumerateInvocationList(BlockedTurn))
        {
            try
            {
                handler(this, blocked);
            }
            catch (Exception e)
            {
                NetpollTransportLog.DiagnosticsFailed(logger, e);
            }
        }
    }

    private static string DescribeCause(BlockedTurnEventArgs blocked) => blocked.Cause switch
    {
        BlockedTurnCause.ManagedWait => "a wait that .NET knows of, such as a lock, Task.Wait or Thread.Sleep",
        BlockedTurnCause.KernelCall => $"the kernel, in {blocked.KernelCall ?? "a call that it does not show"}",
        BlockedTurnCause.Computing => "computing",
        _ => "something that had ended before it could be looked at",
    };

    private static string DescribeRequest(BlockedTurnEventArgs blocked)
    {
        if (blocked.Path is null)
        {
            return "not known";
        }

        string request = $"{blocked.Method} {blocked.Path}";
        return blocked.Route is null ? request : $"{request}, route {blocked.Route}";
    }
}
