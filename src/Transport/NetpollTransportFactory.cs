using System.Net;
using System.Net.Sockets;
using System.Reflection;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport;

/// <summary>
/// Binds Kestrel's endpoints through the netpoll transport. The service provider owns it; its workers start when it is asked for the first
/// endpoint and end when it is disposed. All members are thread-safe.
/// </summary>
/// <remarks>
/// As a service it is registered under its own type and under <see cref="INetpollTransportStatistics"/>. Handlers of minimal APIs can
/// have it as a parameter, although <see cref="BindAsync"/> has the name of what binds parameters there.
/// </remarks>
public sealed partial class NetpollTransportFactory
    : IConnectionListenerFactory,
    IConnectionListenerFactorySelector,
    INetpollTransportStatistics,
    IBindableFromHttpContext<NetpollTransportFactory>,
    IAsyncDisposable,
    IDisposable
{
    // Mistakes in the options are to be found when the host starts, which logs them, and not already when it is built.
    private readonly Lazy<NetpollTransportOptions> _options;
    private readonly ILogger _logger;
    private readonly NetpollDiagnostics _diagnostics;
    private readonly IMemoryPoolFactory<byte>? _memoryPoolFactory;
    private readonly PlatformSupport _platform;

    private readonly ThreadPoolRelief _relief = new(ThreadPoolRelief.DefaultPatience);
    private readonly CancellationTokenRegistration _hostStopping;
    private readonly CancellationTokenRegistration _hostStarted;

    // Guards _context, _listeners, _disposing. The runtime is started under it, sockets are bound outside of it.
    private readonly Lock _lock = new();
    private readonly List<NetpollConnectionListener> _listeners = [];
    private NetpollTransportContext? _context;
    private Task? _disposing;

    private readonly EndpointTable _endpoints;
    private readonly MultipathNotice _multipath;

    // 0 until the obstacle has been logged, then 1: once for the factory, not once for each endpoint.
    private int _obstacleLogged;

    // Why the engine could not be started when it was tried last; null if it could.
    private volatile string? _startFailure;

    /// <summary>Creates a factory; nothing starts before it is asked for the first endpoint.</summary>
    /// <param name="options">The options, read once, here.</param>
    /// <param name="loggerFactory">Makes the transport's logger, of category <c>KestrelNetpoll.Transport</c>.</param>
    /// <param name="memoryPoolFactory">
    /// Makes the pools of the connections' buffers, one for each worker group; null means the shared pool of the process.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> or <paramref name="loggerFactory"/> is null.</exception>
    /// <exception cref="OptionsValidationException">An option is out of its range.</exception>
    public NetpollTransportFactory(
        IOptions<NetpollTransportOptions> options,
        ILoggerFactory loggerFactory,
        IMemoryPoolFactory<byte>? memoryPoolFactory = null)
        : this(options, loggerFactory, memoryPoolFactory, new PlatformSupport()) =>
        _ = _options.Value;

    /// <summary>As for a service provider: reads the options when they are needed first.</summary>
    internal NetpollTransportFactory(
        IOptions<NetpollTransportOptions> options,
        ILoggerFactory loggerFactory,
        IMemoryPoolFactory<byte>? memoryPoolFactory,
        PlatformSupport platform,
        EndpointTable? endpoints = null,
        CancellationToken hostStopping = default,
        CancellationToken hostStarted = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);

        _logger = new QuietLogger(loggerFactory.CreateLogger(NetpollTransportLog.Category));
        _diagnostics = new NetpollDiagnostics(_logger, TimeProvider.System);
        _options = new Lazy<NetpollTransportOptions>(() =>
        {
            NetpollTransportOptions valid = CopyValid(options);
            _diagnostics.Configure(valid);
            return valid;
        });
        _endpoints = endpoints ?? new EndpointTable();
        _multipath = new MultipathNotice(_logger);
        _memoryPoolFactory = memoryPoolFactory;
        _platform = platform;
        _hostStopping = hostStopping.UnsafeRegister(static relief => ((ThreadPoolRelief)relief!).Begin(), _relief);
        _hostStarted = hostStarted.UnsafeRegister(static factory => ((NetpollTransportFactory)factory!).LogMissedChoices(), this);
    }

    /// <summary>Gets why the transport cannot run in this process, or could not be started when it was to bind an endpoint.</summary>
    /// <value>A sentence; <see langword="null"/> when it can run.</value>
    public string? UnsupportedReason => Obstacle ?? _startFailure;

    /// <summary>Gets the name of the kernel interface that reports readiness.</summary>
    /// <value><c>epoll</c> or <c>poll</c>.</value>
    public string Backend => PollerBackends.NameOf(_options.Value.EffectiveBackend);

    /// <summary>Gets the number of worker threads that serve all endpoints together.</summary>
    public int WorkerCount => _options.Value.WorkerCount;

    internal ApplicationScheduling ApplicationScheduling => _options.Value.ApplicationScheduling;

    /// <summary>The engine's groups; none before the first endpoint is bound.</summary>
    internal IReadOnlyList<WorkerGroup> Groups => Volatile.Read(ref _context)?.Runtime.Groups ?? [];

    /// <summary>What the endpoints share; null before the first is bound.</summary>
    internal NetpollTransportContext? Context => Volatile.Read(ref _context);

    private string? Obstacle => _platform.ObstacleTo(_options.Value.EffectiveBackend);

    internal int LingeringConnections => Volatile.Read(ref _context)?.Services.Lingering.Count ?? 0;

    /// <summary>Gets the endpoints that are bound through this factory now, with their real ports. A snapshot.</summary>
    public IReadOnlyCollection<EndPoint> EndPoints
    {
        get
        {
            lock (_lock)
            {
                return [.. _listeners.Select(static listener => listener.EndPoint)];
            }
        }
    }

    /// <summary>Gets the transport's counters as they are now; all zero before the first endpoint is bound.</summary>
    /// <returns>A snapshot.</returns>
    public NetpollTransportStatistics GetStatistics() => Volatile.Read(ref _context)?.Statistics ?? default;

    /// <inheritdoc/>
    public IReadOnlyList<NetpollAcceptQueueDepth> GetAcceptQueues()
    {
        lock (_lock)
        {
            return [.. _listeners.SelectMany(static listener => listener.GetAcceptQueues())];
        }
    }

    internal NetpollTransportStatistics GetCounters() => Volatile.Read(ref _context)?.Counters ?? default;

    internal (long Received, long Sent) GetBytes() => Volatile.Read(ref _context)?.Services.Connections.GetBytes() ?? default;

    /// <summary>
    /// Gives a handler of a minimal API the one that is registered; an instance method of this name would otherwise be an error there.
    /// </summary>
    static ValueTask<NetpollTransportFactory?> IBindableFromHttpContext<NetpollTransportFactory>.BindAsync(
        HttpContext context, ParameterInfo parameter) =>
        new(context.RequestServices.GetService<NetpollTransportFactory>());

    private static NetpollTransportOptions CopyValid(IOptions<NetpollTransportOptions> options)
    {
        // A copy: everybody can get at the original and change it.
        NetpollTransportOptions copy = options.Value.Copy();
        ValidateOptionsResult validation = new NetpollTransportOptionsValidator().Validate(Options.DefaultName, copy);

        // Options that came through a service provider were validated already; these were made by hand.
        return validation.Failed
            ? throw new OptionsValidationException(Options.DefaultName, typeof(NetpollTransportOptions), validation.Failures)
            : copy;
    }

    /// <summary>
    /// Starts the engine, if nobody has. Kestrel has another transport to turn to only until this one has taken the endpoint.
    /// </summary>
    /// <returns>Why it cannot be started, as a sentence for the log.</returns>
    private string? TryStart()
    {
        try
        {
            GetOrCreateContext();
            return _startFailure = null;
        }
        catch (ObjectDisposedException)
        {
            // Binding says so.
            return null;
        }
        catch (Exception e) when (e is IOException or SocketException or OutOfMemoryException or ThreadStartException)
        {
            // No descriptor, no memory, no thread.
            return _startFailure = $"its engine cannot start: {e.Message}";
        }
    }

    private NetpollTransportContext GetOrCreateContext()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposing is not null, this);
            if (_context is null)
            {
                var context = new NetpollTransportContext(_options.Value, _logger, _memoryPoolFactory, _platform, _diagnostics);
                Volatile.Write(ref _context, context);
            }

            return _context;
        }
    }
}
