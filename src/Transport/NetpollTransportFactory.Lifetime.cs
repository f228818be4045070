using System.Net;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Hosting;

namespace KestrelNetpoll.Transport;

/// <content>What the host's start and stop mean, and what goes from one process to the next.</content>
public sealed partial class NetpollTransportFactory
{
    // Of Microsoft.Extensions.Hosting.Systemd, on which nothing here depends. Registered only where it really tells systemd.
    private const string TellingLifetime = "Microsoft.Extensions.Hosting.Systemd.SystemdLifetime";

    // Null without a host. Its value is null unless the option asks for it.
    private Lazy<HandOverService?>? _handOver;
    private ConnectionReport? _report;

    // Made when the host has started. Null: nobody is to be told.
    private volatile ServiceNotifier? _notifier;

    /// <summary>Gives the sockets to another process, and gets them; null: the option does not ask for it.</summary>
    internal HandOverService? HandOver => _handOver?.Value;

    /// <summary>While the host stops, or hands over: until it has stopped.</summary>
    internal bool IsReportingConnections => _report?.IsRunning == true;

    /// <summary>To be called once, before the host starts.</summary>
    /// <param name="host">Says when it starts and stops.</param>
    /// <param name="getLifetime">Called when the host has started, and not before: the lifetime may need the server, and so this.</param>
    /// <param name="times">How long everything may take.</param>
    internal void Attach(IHostApplicationLifetime host, Func<IHostLifetime?> getLifetime, HandOverTimes times)
    {
        var report = new ConnectionReport(_logger, times.ReportInterval);
        _report = report;
        _handOver = new Lazy<HandOverService?>(() => _options.Value is { HandOverPath: { } path } options
            ? new HandOverService(path, options.HandOverGracePeriod, times, _logger, host, GetListeners, report)
            : null);
        host.ApplicationStarted.Register(() => OnStarted(getLifetime));
        host.ApplicationStopping.Register(OnStopping);

        // Whoever stops a host may never dispose of it.
        host.ApplicationStopped.Register(report.Dispose);
    }

    private void OnStarted(Func<IHostLifetime?> getLifetime)
    {
        bool tells = _options.Value.NotifySystemd && getLifetime()?.GetType().FullName != TellingLifetime;
        ServiceNotifier? notifier = tells || HandOver is not null ? ServiceNotifier.FromEnvironment(_logger) : null;
        _notifier = tells ? notifier : null;
        if (HandOver is { } handOver)
        {
            handOver.OnStarted(notifier, () => _notifier?.Ready());
        }
        else
        {
            _notifier?.Ready();
        }
    }

    private void OnStopping()
    {
        if (Context is { } context)
        {
            _report?.Begin(context.Services.Connections, "the host began to stop");
        }

        HandOverService? handOver = _handOver is { IsValueCreated: true } created ? created.Value : null;
        handOver?.OnStopping();
        if (handOver?.IsDraining != true)
        {
            // Otherwise the service goes on, in another process.
            _notifier?.Stopping();
        }
    }

    private Task EndHandOverAsync() => _handOver is { IsValueCreated: true, Value: { } handOver }
        ? Task.WhenAny(handOver.DisposeAsync().AsTask(), Task.Delay(DisposeTimeout))
        : Task.CompletedTask;

    private async ValueTask<IConnectionListener> BindOrInheritAsync(
        HandOverService handOver,
        NetpollTransportContext context,
        EndPoint endpoint,
        NetpollTransportOptions options,
        CancellationToken cancellationToken)
    {
        BoundSockets? inherited = await handOver
            .TryInheritAsync(context.Services, endpoint, options, cancellationToken).ConfigureAwait(false);
        return Listen(context, endpoint, inherited ?? Bind(context, endpoint, options), options, isHeld: inherited is not null);
    }

    private IReadOnlyList<NetpollConnectionListener> GetListeners()
    {
        lock (_lock)
        {
            return [.. _listeners];
        }
    }
}
