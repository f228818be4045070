using KestrelNetpoll.Transport;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the netpoll transport to the application's health checks.</summary>
public static class NetpollHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check of the netpoll transport. Degraded: a blocked worker cannot be replaced since the limit of threads is reached;
    /// accepting pauses since the system has no room for another connection; or work waits for longer than
    /// <see cref="NetpollHealthCheckOptions.QueueTimeBound"/>. Unhealthy: no turn has begun for
    /// <see cref="NetpollHealthCheckOptions.StallBound"/> while work waited; or <c>UseNetpollTransport</c> was not called. Healthy, with a
    /// remark, where another transport serves all endpoints.
    /// </summary>
    /// <param name="builder">The builder, as <c>AddHealthChecks</c> returns it. Not thread-safe.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="failureStatus">What is reported in place of unhealthy; <see langword="null"/>: unhealthy.</param>
    /// <param name="tags">Tags to filter checks by.</param>
    /// <param name="configure">Sets the bounds; null leaves the defaults.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="builder"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="ArgumentException">A bound is out of its range.</exception>
    public static IHealthChecksBuilder AddNetpollTransport(
        this IHealthChecksBuilder builder,
        string name = "netpoll",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        Action<NetpollHealthCheckOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(name);
        var options = new NetpollHealthCheckOptions();
        configure?.Invoke(options);
        options.Validate();
        return builder.Add(new HealthCheckRegistration(name, provider => Create(provider, options), failureStatus, tags));
    }

    private static NetpollHealthCheck Create(IServiceProvider provider, NetpollHealthCheckOptions options)
    {
        NetpollTransportFactory? factory = provider.GetService<NetpollTransportFactory>();
        return new NetpollHealthCheck(factory?.CreateMetricsSource(), () => factory?.UnsupportedReason, options);
    }
}
