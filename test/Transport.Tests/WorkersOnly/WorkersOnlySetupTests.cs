using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>Where the context is put in place, and where it is not.</summary>
[OneMode]
public sealed class WorkersOnlySetupTests
{
    [Theory]
    [InlineData(ApplicationScheduling.Workers)]
    [InlineData(ApplicationScheduling.ThreadPool)]
    public async Task Without_the_option_there_is_no_context(ApplicationScheduling scheduling)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                bool none = SynchronizationContext.Current is null;
                await Task.Delay(1);
                await context.Response.WriteAsync((none && SynchronizationContext.Current is null).ToString());
            },
            configure: setup => setup.Netpoll = options => options.ApplicationScheduling = scheduling);
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("True", await GetAsync(client));
    }

    [Fact]
    public async Task Requests_of_another_transport_pass_untouched()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                string before = Where();
                await Task.Delay(1);
                await context.Response.WriteAsync($"{before}, {Where()}");
            },
            configure: static setup =>
            {
                setup.Platform = new KestrelNetpoll.Native.Scheduling.PlatformSupport(
                    isLinux: false, System.Runtime.InteropServices.Architecture.X64, KestrelNetpoll.Native.Interop.SystemCalls.Instance);

                // One that is named is never left to another transport.
                setup.Netpoll += static options => options.Backend = NetpollBackend.Auto;
            });
        Assert.Empty(server.Factory!.EndPoints);
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("pool, pool", await GetAsync(client));
    }

    [Fact]
    public async Task Startup_filters_that_were_registered_earlier_run_under_the_context()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<IStartupFilter, ObservingFilter>();
        builder.WebHost.UseKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        for (int i = 0; i < 2; i++)
        {
            builder.WebHost.UseNetpollTransport(static options => options.ApplicationScheduling = ApplicationScheduling.WorkersOnly);
        }

        await using WebApplication app = builder.Build();
        app.Run(static context => context.Response.WriteAsync((string)context.Items["place"]!));
        await app.StartAsync().InTime();
        NetpollTransportFactory factory = app.Services.GetRequiredService<NetpollTransportFactory>();
        using RawClient client = await RawClient.ConnectAsync(factory.EndPoints.Single());
        Assert.Equal(OnWorker, await GetAsync(client));
        string[] filters = [.. app.Services.GetServices<IStartupFilter>().Select(static filter => filter.GetType().Name)];
        Assert.Equal(["WorkersOnlyFilter", "RequestNamesFilter"], filters[..2]);
        Assert.Equal(filters.Distinct(), filters);
        await app.StopAsync().InTime();
    }

    private sealed class ObservingFilter : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use((context, pipeline) =>
            {
                context.Items["place"] = Where();
                return pipeline(context);
            });
            next(app);
        };
    }
}
