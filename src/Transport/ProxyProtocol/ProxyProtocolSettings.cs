using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// What the connections of an endpoint share: the options as they were when it was set up, the log, and timers to use again.
/// </summary>
internal sealed class ProxyProtocolSettings(ProxyProtocolOptions options, ILogger logger)
{
    // As many as wait for their headers at the same time; more are made when needed, and not kept.
    private const int KeptDeadlines = 256;

    internal bool Required { get; } = options.Required;

    internal TimeSpan Timeout { get; } = options.Timeout;

    internal int MaxHeaderLength { get; } = options.MaxHeaderLength;

    internal TrustedPeers Trusted { get; } = new(options.TrustedNetworks, options.TrustUnixSockets);

    internal ILogger Logger { get; } = logger;

    internal ObjectPool<CancellationTokenSource> Deadlines { get; } =
        new DefaultObjectPoolProvider { MaximumRetained = KeptDeadlines }.Create(new DeadlinePolicy());

    private sealed class DeadlinePolicy : PooledObjectPolicy<CancellationTokenSource>
    {
        public override CancellationTokenSource Create() => new();

        // One whose time has come is not used again; the pool disposes of it.
        public override bool Return(CancellationTokenSource obj) => obj.TryReset();
    }
}
