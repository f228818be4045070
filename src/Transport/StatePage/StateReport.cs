namespace KestrelNetpoll.Transport.StatePage;

/// <summary>What the state page shows, as JSON. The names are described in docs/operate/page.md; more may come.</summary>
internal sealed record StateReport
{
    public required DateTimeOffset At { get; init; }

    /// <summary>Seconds on a clock that is never set: differences between two reports are times.</summary>
    public required double Clock { get; init; }

    public required ProcessReport Process { get; init; }

    public required TransportReport Transport { get; init; }

    /// <summary>Of each address of the server, by which transport it is served.</summary>
    public required AddressReport[] Addresses { get; init; }

    /// <summary>Those that netpoll serves.</summary>
    public required EndpointReport[] Endpoints { get; init; }

    public required NetpollTransportStatistics Counters { get; init; }

    public required WorkersReport Workers { get; init; }

    public required WorkReport Work { get; init; }

    /// <summary>By reason, as in the meter.</summary>
    public required Dictionary<string, long> HandOffs { get; init; }

    public required ConnectionsReport Connections { get; init; }

    public required BlockedTurnsReport BlockedTurns { get; init; }
}

internal sealed record ProcessReport(int Id, DateTimeOffset StartedAt, string Runtime, int Processors);

/// <param name="Name">"netpoll".</param>
/// <param name="Status">"serving", "idle", "unsupported" or "missing".</param>
/// <param name="Remark">What there is to say about that; null: nothing.</param>
/// <param name="IsStopping">Are connections being ended?</param>
/// <param name="Backend">What tells of readiness.</param>
/// <param name="ApplicationScheduling">Where the application runs.</param>
/// <param name="WorkerCount">The option.</param>
/// <param name="MaxWorkerCount">The option.</param>
/// <param name="WorkerGroupCount">How many groups there are.</param>
/// <param name="Registered">All transports that Kestrel knows, in the order in which it asks them.</param>
/// <param name="RequestOn">The transport that has brought the request for this report.</param>
internal sealed record TransportReport(
    string Name,
    string Status,
    string? Remark,
    bool IsStopping,
    string? Backend,
    string? ApplicationScheduling,
    int WorkerCount,
    int MaxWorkerCount,
    int WorkerGroupCount,
    string[] Registered,
    string RequestOn);

/// <param name="Address">As the server names it.</param>
/// <param name="ServedBy">"netpoll" or "another transport".</param>
internal sealed record AddressReport(string Address, string ServedBy);

/// <param name="EndPoint">With its real port.</param>
/// <param name="AcceptQueue">Connections that the kernel holds; null: it does not say.</param>
/// <param name="AcceptQueueLimit">How many it may hold.</param>
/// <param name="Pauses">How often accepting has paused.</param>
/// <param name="IsPaused">Does it pause now?</param>
internal sealed record EndpointReport(string EndPoint, int? AcceptQueue, int? AcceptQueueLimit, long Pauses, bool IsPaused);

/// <param name="Running">Inside a turn, with a place.</param>
/// <param name="Idle">With a place, between turns.</param>
/// <param name="Blocked">Inside a turn that has lost its place.</param>
/// <param name="Spare">Parked, to take the next blocked one's place.</param>
/// <param name="Missing">Blocked ones that cannot be replaced.</param>
internal sealed record WorkersReport(int Running, int Idle, int Blocked, int Spare, int Missing);

/// <param name="Queued">Turns that wait for a worker.</param>
/// <param name="WaitSeconds">How long work that was queued at the last report has waited, or waits so far; of the slowest group.</param>
internal sealed record WorkReport(int Queued, double WaitSeconds);

internal sealed record ConnectionsReport
{
    /// <summary>All of them.</summary>
    public required int Open { get; init; }

    /// <summary>Ended here, and waiting for the peer to finish; not among the open ones.</summary>
    public required int Lingering { get; init; }

    /// <summary>Those that the filter lets through.</summary>
    public required int Matching { get; init; }

    /// <summary>Those of them that are not listed.</summary>
    public required int LeftOut { get; init; }

    public required ConnectionReport[] Listed { get; init; }
}

internal sealed record ConnectionReport
{
    public required string Id { get; init; }

    public required string EndPoint { get; init; }

    /// <summary>Empty: the kernel does not say, or it has no name.</summary>
    public required string Peer { get; init; }

    /// <summary>"new", "open" or "ending".</summary>
    public required string State { get; init; }

    /// <summary>"application", "input", "output" or "worker".</summary>
    public required string WaitsFor { get; init; }

    public required double AgeSeconds { get; init; }

    public required long Received { get; init; }

    public required long Sent { get; init; }

    public required long Queued { get; init; }

    /// <summary>From now; 0: it has passed; null: there is none.</summary>
    public required double? ReadDeadlineSeconds { get; init; }

    /// <inheritdoc cref="ReadDeadlineSeconds"/>
    public required double? WriteDeadlineSeconds { get; init; }

    /// <summary>It has brought the request for this report.</summary>
    public required bool IsThis { get; init; }
}

internal sealed record BlockedTurnsReport
{
    /// <summary>Null: nobody looks for them.</summary>
    public required double? ThresholdSeconds { get; init; }

    /// <summary>Are requests named?</summary>
    public required bool NamesRequests { get; init; }

    /// <summary>How many have been told of, those that are not listed any more included.</summary>
    public required long Seen { get; init; }

    /// <summary>The last one first.</summary>
    public required BlockedTurnReport[] Listed { get; init; }
}

/// <summary>See <see cref="BlockedTurnEventArgs"/>.</summary>
internal sealed record BlockedTurnReport(
    DateTimeOffset At,
    double BlockedSeconds,
    string Cause,
    string? KernelCall,
    string? Method,
    string? Path,
    string? Route,
    string? ConnectionId,
    string? Peer,
    string? EndPoint,
    int ThreadId);
