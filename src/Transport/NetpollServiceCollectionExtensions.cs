using System.Diagnostics.Metrics;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.WorkersOnly;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Makes Kestrel serve its endpoints through the netpoll transport.</summary>
public static class NetpollServiceCollectionExtensions
{
    /// <summary>
    /// Adds the netpoll transport, which then serves every endpoint it can, on Linux: TCP over IPv4 and IPv6, Unix domain sockets, and
    /// handles of either. The same as <c>UseNetpollTransport</c> of <see cref="IWebHostBuilder"/>, for code that has services only. The
    /// Sockets transport serves all others, those that are left to it (<c>UseSocketsTransport</c>), and everything where netpoll cannot
    /// run; one log line then says why.
    /// </summary>
    /// <remarks>
    /// May be called before or after Kestrel is added, and more than once: the transport is registered once, and each
    /// <paramref name="configure"/> is applied in order. Like every method of the collection it is not thread-safe.
    /// </remarks>
    /// <param name="services">The services of a host whose server is Kestrel.</param>
    /// <param name="configure">
    /// Sets options; null leaves what the configuration section <c>Kestrel:Netpoll</c> says, or else the defaults. Mistakes in the
    /// section, and values out of range, make the host's start fail with an <see cref="OptionsValidationException"/>.
    /// </param>
    /// <returns>The same collection.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="services"/> is null.</exception>
    public static IServiceCollection AddNetpollTransport(
        this IServiceCollection services, Action<NetpollTransportOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);

        // Kestrel asks the factory registered last first. It adds Sockets itself, by "try add", if nobody has added a transport: adding it
        // here keeps it as the fallback also when Kestrel is added after this transport.
        services.TryAddSingleton<IConnectionListenerFactory, SocketTransportFactory>();
        ConfigureFromConfigurationFirst(services);
        OptionsBuilder<NetpollTransportOptions> options = services.AddOptions<NetpollTransportOptions>();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        options.ValidateOnStart();
        services.TryAddEnumerable(
        [
            ServiceDescriptor.Singleton<IValidateOptions<NetpollTransportOptions>, NetpollTransportOptionsValidator>(),
            ServiceDescriptor.Singleton<IValidateOptions<NetpollTransportOptions>, EndpointSectionsValidator>(),
        ]);

        // Ahead of everything: the first filter is the outermost, whenever it was added. The other one is behind it, where the request
        // is on its worker.
        if (!services.Any(static service => !service.IsKeyedService && service.ImplementationType == typeof(WorkersOnlyFilter)))
        {
            services.Insert(0, ServiceDescriptor.Singleton<IStartupFilter, WorkersOnlyFilter>());
            services.Insert(1, ServiceDescriptor.Singleton<IStartupFilter, RequestNamesFilter>());
            services.Insert(2, ServiceDescriptor.Singleton<IStartupFilter, DrainFilter>());
        }

        services.TryAddSingleton<EndpointTable>();

        // Registered under its own type too, so that an application can ask it for its endpoints and counters.
        services.TryAddSingleton(CreateFactory);
        services.TryAddSingleton<INetpollTransportStatistics>(
            static provider => provider.GetRequiredService<NetpollTransportFactory>());
        services.TryAddSingleton<INetpollDiagnostics>(
            static provider => provider.GetRequiredService<NetpollTransportFactory>().Diagnostics);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConnectionListenerFactory, NetpollTransportFactory>(
            static provider => provider.GetRequiredService<NetpollTransportFactory>()));
        return services;
    }

    // Options are configured in the order of registration, and code, which may have been registered already, is to come after the
    // configuration: hence the very first place.
    private static void ConfigureFromConfigurationFirst(IServiceCollection services)
    {
        if (!services.Any(static service => !service.IsKeyedService && service.ImplementationType == typeof(NetpollTransportOptionsSetup)))
        {
            services.Insert(0, ServiceDescriptor.Singleton<IConfigureOptions<NetpollTransportOptions>, NetpollTransportOptionsSetup>());
        }
    }

    // The platform, and the times, are not registered outside tests, which put their own in.
    private static NetpollTransportFactory CreateFactory(IServiceProvider provider)
    {
        IHostApplicationLifetime? lifetime = provider.GetService<IHostApplicationLifetime>();
        var factory = new NetpollTransportFactory(
            provider.GetRequiredService<IOptions<NetpollTransportOptions>>(),
            provider.GetRequiredService<ILoggerFactory>(),
            provider.GetService<IMemoryPoolFactory<byte>>(),
            provider.GetService<PlatformSupport>() ?? new PlatformSupport(),
            provider.GetRequiredService<EndpointTable>(),
            lifetime?.ApplicationStopping ?? default,
            lifetime?.ApplicationStarted ?? default);
        if (provider.GetService<IMeterFactory>() is { } meterFactory)
        {
            factory.Diagnostics.HandOffDelay = NetpollMetrics.Register(meterFactory, factory.CreateMetricsSource());
        }

        if (provider.GetService<IHostApplicationLifetime>() is { } host)
        {
            factory.Attach(host, provider.GetService<IHostLifetime>, provider.GetService<HandOverTimes>() ?? new HandOverTimes());
        }

        return factory;
    }

    /// <summary>
    /// Puts <see cref="WorkersOnlyMiddleware"/> in front of the application's pipeline, if the option says so: as the factory has read it,
    /// and so as the connections have it.
    /// </summary>
    private sealed class WorkersOnlyFilter(NetpollTransportFactory factory) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next)
        {
            if (factory.ApplicationScheduling != ApplicationScheduling.WorkersOnly)
            {
                return next;
            }

            return builder =>
            {
                builder.Use(static pipeline => new WorkersOnlyMiddleware(pipeline).InvokeAsync);
                next(builder);
            };
        }
    }

    /// <summary>Puts <see cref="RequestNames"/> in front of the application's pipeline, behind the other, if the option says so.</summary>
    private sealed class RequestNamesFilter(NetpollTransportFactory factory) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next)
        {
            if (factory.RequestNames is not { } names)
            {
                return next;
            }

            return builder =>
            {
                builder.Use(pipeline => context => names.InvokeAsync(context, pipeline));
                next(builder);
            };
        }
    }

    /// <summary>
    /// Puts <see cref="DrainMiddleware"/> in front of the application's pipeline, behind the others, if the option says so:
    /// elsewhere no request pays for it.
    /// </summary>
    private sealed class DrainFilter(NetpollTransportFactory factory) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next)
        {
            if (factory.HandOver is not { } handOver)
            {
                return next;
            }

            return builder =>
            {
                builder.Use(pipeline => new DrainMiddleware(handOver, pipeline).InvokeAsync);
                next(builder);
            };
        }
    }
}
