using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.StatePage;

namespace KestrelNetpoll.Transport;

// What the services around the transport, which watch over it, get from it.
public sealed partial class NetpollTransportFactory
{
    internal NetpollDiagnostics Diagnostics => _diagnostics;

    /// <summary>Who names the requests that block; null: nobody.</summary>
    internal RequestNames? RequestNames
    {
        get
        {
            // What it depends on.
            _ = _options.Value;
            return _diagnostics.Names;
        }
    }

    /// <summary>How accepting goes on the endpoints that are bound now.</summary>
    internal ListenerState[] GetListenerStates()
    {
        lock (_lock)
        {
            return [.. _listeners.Select(static listener => listener.State)];
        }
    }

    /// <summary>Where the meter's instruments get their numbers.</summary>
    internal MetricsSource CreateMetricsSource() => new()
    {
        Counters = GetCounters,
        Bytes = GetBytes,
        Groups = () => Groups,
        Lingering = () => LingeringConnections,
        Listeners = GetListenerStates,
        AcceptQueues = GetAcceptQueues,
        MaxWorkerCount = () => _options.Value.MaxWorkerCount,
    };

    /// <summary>Where the state page gets what it shows; from now on blocked turns are kept for it.</summary>
    internal StateSource CreateStateSource() => new()
    {
        Metrics = CreateMetricsSource(),
        Options = () => _options.Value,
        Obstacle = () => UnsupportedReason,
        Backend = () => Backend,
        Connections = () => Context?.Services.Connections,
        IsEnding = () => IsReportingConnections,
        BlockedTurns = _diagnostics.KeepHistory(),
    };
}
