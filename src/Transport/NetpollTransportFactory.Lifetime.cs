using KestrelNetpoll.Transport.Hosting;
using Microsoft.Extensions.Hosting;

namespace KestrelNetpoll.Transport;

/// <content>What happens when the host has started, and when it begins to stop.</content>
public sealed partial class NetpollTransportFactory
{
    // Of Microsoft.Extensions.Hosting.Systemd, on which nothing here depends. Registered only where it really tells systemd.
    private const string TellingLifetime = "Microsoft.Extensions.Hosting.Systemd.SystemdLifetime";

    // Made when the host has started. Null: nobody is to be told.
    private volatile ServiceNotifier? _notifier;

    /// <summary>To be called once, before the host starts.</summary>
    internal void Attach(IHostApplicationLifetime host, IHostLifetime? lifetime)
    {
        bool isTold = lifetime?.GetType().FullName == TellingLifetime;
        host.ApplicationStarted.Register(() => OnStarted(isTold));
        host.ApplicationStopping.Register(OnStopping);
    }

    private void OnStarted(bool isTold)
    {
        if (_options.Value.NotifySystemd && !isTold)
        {
            _notifier = ServiceNotifier.FromEnvironment(_logger);
            _notifier?.Ready();
        }
    }

    private void OnStopping() => _notifier?.Stopping();
}
