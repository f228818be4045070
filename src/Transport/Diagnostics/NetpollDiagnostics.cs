using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Makes log entries, events and measurements of what the monitor sees. The monitor's thread only hands over: everything that may run the
/// application's code happens on the thread pool. There each of the three has one thread at a time, and a bounded queue of its own: neither
/// can listeners that block take the pool's threads, nor do they keep the log from going on.
/// </summary>
internal sealed class NetpollDiagnostics : INetpollDiagnostics, IMonitorObserver
{
    /// <summary>So many sightings may wait, and so many events; what comes then is not worth the memory.</summary>
    internal const int MaxPending = 256;

    /// <summary>So many measurements may wait: they are small, and come in swarms.</summary>
    internal const int MaxMeasurements = 4096;

    /// <summary>So many sightings are looked at in a second for the log alone, or to look back: more would hardly have a place.</summary>
    internal const int MaxLooks = 32;

    /// <summary>A turn that computes is worth a warning when it has lasted so many times the threshold.</summary>
    internal const int ComputingFactor = 10;

    internal static readonly TimeSpan FailureInterval = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger;
    private readonly TimeProvider _timeProvider;
    private readonly BlockedTurnThrottle _throttle;
    private readonly RateLimit _looks;
    private readonly RateLimit _failures;
    private readonly Mailbox<BlockedTurnSighting> _sightings;
    private readonly Mailbox<BlockedTurnEventArgs> _events;
    private readonly Mailbox<(HandOffReason Reason, long Nanoseconds)> _measurements;

    // For who handles sightings.
    private readonly ThreadLocator _locator = new();

    // Null: nobody wants to look back. Interlocked.
    private BlockedTurnHistory? _history;

    // Interlocked: sightings that nobody has looked at, and that no log entry has told of.
    private long _leftOut;

    internal NetpollDiagnostics(ILogger logger, TimeProvider timeProvider)
    {
        _logger = logger;
        _timeProvider = timeProvider;
        _throttle = new BlockedTurnThrottle(timeProvider);
        _looks = new RateLimit(timeProvider, MaxLooks, TimeSpan.FromSeconds(1));
        _failures = new RateLimit(timeProvider, permits: 1, FailureInterval);
        _sightings = new Mailbox<BlockedTurnSighting>(MaxPending, Report);
        _events = new Mailbox<BlockedTurnEventArgs>(MaxPending, Raise);
        _measurements = new Mailbox<(HandOffReason Reason, long Nanoseconds)>(MaxMeasurements, Record);
    }

    public event EventHandler<BlockedTurnEventArgs>? BlockedTurn;

    /// <summary>Set before the engine starts.</summary>
    public long BlockedTurnThreshold { get; private set; }

    public bool WantsHandOffs => HandOffDelay?.IsListenedTo == true;

    /// <summary>Who names requests; null: nobody. Set before the engine starts.</summary>
    internal RequestNames? Names { get; private set; }

    /// <summary>Where the time until a hand-off is measured; null: nowhere. Set before the engine starts.</summary>
    internal HandOffDelay? HandOffDelay { get; set; }

    /// <summary>For tests: has everything been told?</summary>
    internal bool IsDone => _sightings.IsEmpty && _events.IsEmpty && _measurements.IsEmpty;

    /// <summary>Before the engine starts.</summary>
    internal void Configure(NetpollTransportOptions options)
    {
        BlockedTurnThreshold = (options.BlockedTurnThreshold ?? TimeSpan.Zero).Ticks * TimeSpan.NanosecondsPerTick;

        // Where the application runs on the thread pool, no request can block a turn.
        bool canBlock = BlockedTurnThreshold != 0 && options.ApplicationScheduling != ApplicationScheduling.ThreadPool;
        Names = options.NameBlockedRequests && canBlock ? new RequestNames() : null;
    }

    /// <summary>
    /// From now on, keeps what is told of: as often as for the log, also where that does not want it. The same one for all who ask.
    /// </summary>
    internal BlockedTurnHistory KeepHistory() =>
        Volatile.Read(ref _history)
        ?? Interlocked.CompareExchange(ref _history, new BlockedTurnHistory(_timeProvider), null)
        ?? _history!;

    public void OnBlockedTurn(BlockedTurnSighting sighting)
    {
        if (!_sightings.TryAdd(sighting))
        {
            Interlocked.Increment(ref _leftOut);
        }
    }

    public void OnHandedOff(HandOffReason reason, long nanoseconds)
    {
        if (HandOffDelay is not null)
        {
            // What is left out is missing from a histogram. The hand-offs are counted elsewhere.
            _measurements.TryAdd((reason, nanoseconds));
        }
    }

    // An exception here, or in one of those below, would be the end of the process.
    private void Record((HandOffReason Reason, long Nanoseconds) measurement)
    {
        try
        {
            HandOffDelay!.Record(measurement.Reason, measurement.Nanoseconds);
        }
        catch (Exception)
        {
            // Whoever listens throws: a measurement is lost.
        }
    }

    private void Report(BlockedTurnSighting sighting)
    {
        try
        {
            bool isListenedTo = BlockedTurn is not null;
            BlockedTurnHistory? history = Volatile.Read(ref _history);
            if (!isListenedTo && history is null && !_logger.IsEnabled(LogLevel.Warning))
            {
                return;
            }

            if (!isListenedTo && !_looks.TryEnter(out _))
            {
                Interlocked.Increment(ref _leftOut);
                return;
            }

            BlockedTurnEventArgs blocked = Describe(sighting);
            history?.Add(blocked);
            if (isListenedTo)
            {
                // First: a logger may block.
                _events.TryAdd(blocked);
            }

            Log(blocked);
        }
        catch (Exception e)
        {
            LogFailure(e);
        }
    }

    private BlockedTurnEventArgs Describe(BlockedTurnSighting sighting)
    {
        // In this order: what is named while the turn and the request last is theirs.
        RequestName? request = Names?.Find(sighting.Thread);
        string? route = request?.Route;
        ITurnSubject? subject = request?.Connection;
        ThreadWhereabouts found = sighting.Locate(_locator);
        if (!sighting.Lasts || request is { HasEnded: true })
        {
            request = null;
            subject = null;
        }

        // What goes on after an await, under WorkersOnly, is a turn of nobody in particular.
        subject ??= sighting.Turn?.Subject as ITurnSubject;
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
        LogLevel level = LevelOf(blocked);
        var kind = new BlockedTurnThrottle.Kind(level, blocked.Cause, blocked.KernelCall, blocked.Route ?? blocked.Path);
        if (!_logger.IsEnabled(level) || !_throttle.TryEnter(kind, out long suppressed))
        {
            return;
        }

        string cause = DescribeCause(blocked);
        string request = DescribeRequest(blocked);
        long milliseconds = (long)blocked.BlockedFor.TotalMilliseconds;
        suppressed += Interlocked.Exchange(ref _leftOut, 0);
        NetpollTransportLog.BlockedTurn(
            _logger,
            level,
            blocked.ThreadId,
            milliseconds,
            cause,
            request,
            blocked.ConnectionId,
            blocked.RemoteEndPoint,
            blocked.LocalEndPoint,
            suppressed);
    }

    // A turn that computes keeps nobody waiting once its processor is handed on, and every first request computes for long, while .NET gets
    // its code ready. That is no fault of anybody's: only what goes on for long is one.
    private LogLevel LevelOf(BlockedTurnEventArgs blocked)
    {
        bool isKnownToWait = blocked.Cause is BlockedTurnCause.ManagedWait or BlockedTurnCause.KernelCall;
        return isKnownToWait || blocked.BlockedFor.Ticks / ComputingFactor >= BlockedTurnThreshold / TimeSpan.NanosecondsPerTick
            ? LogLevel.Warning
            : LogLevel.Debug;
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
                LogFailure(e);
            }
        }
    }

    private void LogFailure(Exception exception)
    {
        if (_failures.TryEnter(out long suppressed))
        {
            NetpollTransportLog.DiagnosticsFailed(_logger, suppressed, exception);
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

        // Escaped as in the request's line: what a client makes up must not look like another entry.
        string request = $"{blocked.Method} {new PathString(blocked.Path).ToUriComponent()}";
        return blocked.Route is null ? request : $"{request}, route {blocked.Route}";
    }
}
