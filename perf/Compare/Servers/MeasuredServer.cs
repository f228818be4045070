using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>A server under measurement, wherever it runs.</summary>
internal abstract class MeasuredServer : IAsyncDisposable
{
    internal abstract string Transport { get; }

    internal abstract string Host { get; }

    /// <summary>Gets the path of its Unix socket; null: it has none.</summary>
    internal virtual string? UnixPath => null;

    /// <summary>Gets its process, if that is one of this machine; otherwise null.</summary>
    internal virtual int? LocalPid => null;

    /// <summary>Gets the port of an endpoint: http1, https, echo.</summary>
    internal abstract int Port(string endpoint);

    /// <param name="collect">After a full garbage collection.</param>
    /// <param name="resetPeak">Whether the peak of the memory begins anew.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    internal abstract Task<ProcessUsage> ReadUsageAsync(bool collect, bool resetPeak, CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();
}
