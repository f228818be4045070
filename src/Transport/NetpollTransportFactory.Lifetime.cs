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

    /// <summary>To be called once, before the host starts.</summary>
    internal void Attach(IHostApplicationLifetime host, IHostLifetime? lifetime, HandOverTimes times)
    {
        bool isTold = lifetime?.GetType().FullName == TellingLifetime;
        var report = new ConnectionReport(_logger, times.ReportInterval);
        _report = report;
        _handOver = new Lazy<HandOverService?>(() => _options.Value is { HandOverPath: { } path } options
            ? new HandOverService(path, options.HandOverGracePeriod, times, _logger, host, GetListeners, report)
            : null);
        host.ApplicationStarted.Register(() => OnStarted(isTold));
        host.ApplicationStopping.Register(OnStopping);
    }

    private void OnStarted(bool isTold)
    {
        bool tells = _options.Value.NotifySystemd && !isTold;
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
