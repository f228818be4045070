namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// The options that all endpoints have together, or not at all: those of <see cref="NetpollTransportOptions"/> itself. An endpoint's
/// callback can get at them with a cast, since one class has both.
/// </summary>
internal static class EngineOptions
{
    private static readonly (string Name, Func<NetpollTransportOptions, object?> Get)[] All =
    [
        (nameof(NetpollTransportOptions.ApplicationScheduling), static options => options.ApplicationScheduling),
        (nameof(NetpollTransportOptions.Backend), static options => options.Backend),
        (nameof(NetpollTransportOptions.BlockedTurnThreshold), static options => options.BlockedTurnThreshold),
        (nameof(NetpollTransportOptions.HandOverGracePeriod), static options => options.HandOverGracePeriod),
        (nameof(NetpollTransportOptions.HandOverPath), static options => options.HandOverPath),
        (nameof(NetpollTransportOptions.MaxWorkerCount), static options => options.MaxWorkerCount),
        (nameof(NetpollTransportOptions.NameBlockedRequests), static options => options.NameBlockedRequests),
        (nameof(NetpollTransportOptions.NotifySystemd), static options => options.NotifySystemd),
        (nameof(NetpollTransportOptions.WorkerCount), static options => options.WorkerCount),
        (nameof(NetpollTransportOptions.WorkerGroupCount), static options => options.WorkerGroupCount),
    ];

    internal static IReadOnlyList<string> Names { get; } = [.. All.Select(static option => option.Name)];

    /// <summary>The names of those whose values differ.</summary>
    internal static IEnumerable<string> FindChanged(NetpollTransportOptions options, NetpollTransportOptions others) =>
        All.Where(option => !Equals(option.Get(options), option.Get(others))).Select(static option => option.Name);
}
