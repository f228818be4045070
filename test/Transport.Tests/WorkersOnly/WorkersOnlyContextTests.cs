using System.Collections.Concurrent;
using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>What follows a request from thread to thread, and what does not reach Kestrel or the next request.</summary>
[OneMode]
public sealed class WorkersOnlyContextTests
{
    [Fact]
    public async Task Kestrels_own_code_runs_on_a_worker_without_the_context()
    {
        var places = new ConcurrentQueue<string>();
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                // Kestrel runs these after the pipeline has ended.
                if (!context.Request.QueryString.HasValue)
                {
                    context.Response.OnCompleted(() =>
                    {
                        places.Enqueue(Where());
                        return Task.CompletedTask;
                    });
                }

                if (context.Request.Path == "/slow")
                {
                    await Task.Delay(1);
                }
                else if (context.Request.Path == "/pool")
                {
                    await Task.Delay(1).ConfigureAwait(false);
                }

                await context.Response.WriteAsync(Where());
            },
            configure: setup => setup.Kestrel = kestrel => kestrel.ConfigureEndpointDefaults(options => options.Use(next => connection =>
            {
                places.Enqueue(SynchronizationContext.Current is null ? "worker" : "a context at the connection's start");
                return next(connection);
            })));
        using RawClient client = await server.ConnectAsync();

        // The first await of a kind is compiled. If what it awaits ends meanwhile, the framework goes on on the thread pool.
        foreach (string path in (string[])["/", "/slow", "/pool"])
        {
            await GetAsync(client, $"{path}?first");
        }

        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(OnWorker, await GetAsync(client));
            Assert.Equal(OnWorker, await GetAsync(client, "/slow"));
            Assert.Equal("pool", await GetAsync(client, "/pool"));
        }

        await Patience.UntilAsync(() => places.Count >= 30, "Kestrel has ended all requests");
        Assert.Equal(["worker"], places.Distinct());
    }

    /// <summary>An await brings its values along; what is posted directly takes those of whoever posts it.</summary>
    [Fact]
    public async Task What_belongs_to_a_request_follows_what_it_posts()
    {
        var local = new AsyncLocal<string?>();
        await using TestServer server = await WorkersOnlyServer.StartAsync(async context =>
        {
            local.Value = "mine";
            var reported = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
            IProgress<int> progress = new Progress<int>(_ => reported.SetResult($"{local.Value}, {Where()}"));
            progress.Report(1);
            await context.Response.WriteAsync(await reported.Task ?? "");
        });
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal($"mine, {OnWorker}", await GetAsync(client));
        }
    }

    [Fact]
    public async Task What_a_request_leaves_on_its_thread_does_not_reach_the_next()
    {
        var local = new AsyncLocal<string?>();
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                string seen = $"{local.Value}|{CultureInfo.CurrentCulture.Name}";
                local.Value = context.Connection.Id;
                CultureInfo.CurrentCulture = new CultureInfo("cy-GB");
                if (context.Request.Path == "/slow")
                {
                    await Task.Delay(1);
                    seen += local.Value == context.Connection.Id && CultureInfo.CurrentCulture.Name == "cy-GB" ? "" : "lost";
                }

                await context.Response.WriteAsync(seen);
            },
            workers: 1);
        using RawClient first = await server.ConnectAsync();
        using RawClient second = await server.ConnectAsync();
        string initial = await GetAsync(first);
        Assert.StartsWith("|", initial, StringComparison.Ordinal);
        Assert.DoesNotContain("cy-GB", initial, StringComparison.Ordinal);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(initial, await GetAsync(second, "/slow"));
            Assert.Equal(initial, await GetAsync(first));
            Assert.Equal(initial, await GetAsync(first, "/slow"));
            Assert.Equal(initial, await GetAsync(second));
        }
    }

    [Fact]
    public async Task What_belongs_to_a_request_follows_it()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                IHttpContextAccessor accessor = context.RequestServices.GetRequiredService<IHttpContextAccessor>();
                string? activity = System.Diagnostics.Activity.Current?.Id;
                await Task.Delay(1);
                bool same = accessor.HttpContext == context && activity is not null && System.Diagnostics.Activity.Current?.Id == activity;
                await context.Response.WriteAsync(same.ToString());
            },
            configure: static setup => setup.Services = static services => services.AddHttpContextAccessor());

        // Somebody has to want activities.
        using var listener = new System.Diagnostics.ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Microsoft.AspNetCore",
            Sample = static (ref _) => System.Diagnostics.ActivitySamplingResult.AllData,
        };
        System.Diagnostics.ActivitySource.AddActivityListener(listener);
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("True", await GetAsync(client));
    }
}
