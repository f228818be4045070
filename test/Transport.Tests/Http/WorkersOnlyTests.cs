using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using static KestrelNetpoll.Transport.Tests.Http.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.Http;

/// <summary>Where the application runs with <see cref="ApplicationScheduling.WorkersOnly"/>.</summary>
public class WorkersOnlyTests
{
    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    public async Task A_handler_stays_on_workers_whatever_it_awaits(int workers, int groups)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                List<string> places = [Where()];
                await Task.Delay(1);
                places.Add(Where());
                await Task.Yield();
                places.Add(Where());
                await Task.Run(static () => Thread.Sleep(1));
                places.Add(Where());
                await context.Response.WriteAsync(string.Join(',', places.Distinct()));
            },
            workers,
            groups);
        for (int connection = 0; connection < 4; connection++)
        {
            using RawClient client = await server.ConnectAsync();
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal(OnWorker, await GetAsync(client));
            }
        }
    }

    [Fact]
    public async Task With_several_groups_a_request_comes_back_to_its_own()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                var workers = (GroupContext)SynchronizationContext.Current!;
                bool own = workers.IsWorkerThread;
                await Task.Delay(1);
                own &= workers.IsWorkerThread && SynchronizationContext.Current == workers;
                await context.Response.WriteAsync(own.ToString());
            },
            workers: 4,
            groups: 4);
        for (int connection = 0; connection < 8; connection++)
        {
            using RawClient client = await server.ConnectAsync();
            Assert.Equal("True", await GetAsync(client));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_handlers_of_HTTP2_streams_run_on_workers(bool tls)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                string before = Where();
                await Task.Delay(1);
                using var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                await context.Response.WriteAsync($"{context.Request.Protocol}: {before}, {Where()}, {body.Length}");
            },
            configure: setup => setup.Endpoint = options =>
            {
                options.Protocols = HttpProtocols.Http2;
                if (certificate is not null)
                {
                    options.UseHttps(certificate);
                }
            });
        using HttpClient client = HttpClients.Create(server, "2.0", certificate);
        async Task<string> PostAsync()
        {
            using var content = new ByteArrayContent(new byte[300_000]);
            using HttpResponseMessage response = await client.PostAsync((Uri?)null, content);
            return await response.Content.ReadAsStringAsync();
        }

        foreach (string answer in await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => PostAsync())).InTime())
        {
            Assert.Equal($"HTTP/2: {OnWorker}, {OnWorker}, 300000", answer);
        }
    }

    [Fact]
    public async Task Kestrels_own_code_runs_on_a_worker_without_the_context()
    {
        var places = new ConcurrentQueue<string>();
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                // Kestrel runs these after the pipeline has ended.
                context.Response.OnCompleted(() =>
                {
                    places.Enqueue(Where());
                    return Task.CompletedTask;
                });
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
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(OnWorker, await GetAsync(client));
            Assert.Equal(OnWorker, await GetAsync(client, "/slow"));
            Assert.Equal("pool", await GetAsync(client, "/pool"));
        }

        await Patience.UntilAsync(() => places.Count >= 30, "Kestrel has ended all requests");
        Assert.Equal(["worker"], places.Distinct());
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

    // One worker waits, another runs the continuation.
    [Fact]
    public async Task Waiting_for_a_task_of_the_own_request_is_no_deadlock()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            context =>
            {
                async Task<string> SlowAsync()
                {
                    await Task.Delay(1);
                    return Where();
                }

                return context.Response.WriteAsync(SlowAsync().Result);
            },
            workers: 2);
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(OnWorker, await GetAsync(client));
        }
    }

    [Fact]
    public async Task Continuations_of_one_request_may_run_at_the_same_time()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                using var both = new Barrier(2);
                async Task<bool> MeetAsync()
                {
                    await Task.Yield();
                    return both.SignalAndWait(Patience.Limit);
                }

                bool[] met = await Task.WhenAll(MeetAsync(), MeetAsync());
                await context.Response.WriteAsync(met.All(static m => m).ToString());
            },
            workers: 2);
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("True", await GetAsync(client));
    }

    [Fact]
    public async Task What_leaves_the_context_runs_on_the_thread_pool()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(async context =>
        {
            string run = await Task.Run(Where);
            await Task.Delay(1).ConfigureAwait(false);
            await context.Response.WriteAsync($"{run}, {Where()}");
        });
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("pool, pool", await GetAsync(client));
        Assert.Equal("pool, pool", await GetAsync(client));
    }

    [Fact]
    public async Task An_exception_that_nobody_awaits_is_logged_and_everything_goes_on()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(context =>
        {
            if (context.Request.Path == "/void")
            {
                Forget();
            }

            return context.Response.WriteAsync("answer");
        });
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("answer", await GetAsync(client, "/void"));
        await Patience.UntilAsync(() => server.Logs.Entries.Any(static entry => entry.Id.Id == 109), "the exception is logged");
        LogEntry logged = Assert.Single(server.Logs.Above(LogLevel.Information));
        Assert.Equal((LogCollector.Netpoll, LogLevel.Error), (logged.Category, logged.Level));
        Assert.Equal("on purpose", Assert.IsType<InvalidOperationException>(logged.Exception).Message);
        Assert.Equal("answer", await GetAsync(client));

        static async void Forget()
        {
            await Task.Yield();
            throw new InvalidOperationException("on purpose");
        }
    }

    [Theory]
    [InlineData("/now")]
    [InlineData("/later")]
    public async Task An_exception_of_the_application_is_answered_and_logged_as_ever(string path)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(async context =>
        {
            if (context.Request.Path == "/later")
            {
                await Task.Delay(1);
            }

            throw new InvalidOperationException("on purpose");
        });
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(500, (await client.ReadResponseAsync()).Status);
        }

        await Patience.UntilAsync(() => server.Logs.Above(LogLevel.Information).Count() == 3, "all exceptions are logged");
        Assert.All(server.Logs.Above(LogLevel.Information), static entry => Assert.Equal(
            ("Microsoft.AspNetCore.Server.Kestrel", 13, "on purpose"), (entry.Category, entry.Id.Id, entry.Exception?.Message)));
    }

    [Fact]
    public async Task Exception_handlers_of_the_application_see_its_exceptions()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async _ =>
            {
                await Task.Delay(1);
                throw new InvalidOperationException("on purpose");
            },
            configure: static setup => setup.Pipeline = static app => app.Use(async (context, next) =>
            {
                try
                {
                    await next(context);
                }
                catch (InvalidOperationException e)
                {
                    await context.Response.WriteAsync($"{e.Message}: {Where()}");
                }
            }));
        using RawClient client = await server.ConnectAsync();
        Assert.Equal($"on purpose: {OnWorker}", await GetAsync(client));
    }

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
            configure: static setup => setup.Platform = new KestrelNetpoll.Transport.Internal.PlatformSupport(
                isLinux: false, System.Runtime.InteropServices.Architecture.X64, KestrelNetpoll.Native.Interop.SystemCalls.Instance));
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
        Assert.Equal("WorkersOnlyFilter", app.Services.GetServices<IStartupFilter>().First().GetType().Name);
        Assert.Single(app.Services.GetServices<IStartupFilter>(), static filter => filter.GetType().Name == "WorkersOnlyFilter");
        await app.StopAsync().InTime();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_web_socket_is_served_on_workers_for_as_long_as_it_lives(bool http2)
    {
        List<string> places = [];
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
                byte[] buffer = new byte[10_000];
                while (true)
                {
                    WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, default);
                    places.Add(Where());
                    if (received.MessageType == WebSocketMessageType.Close)
                    {
                        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
                        return;
                    }

                    await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, default);
                    places.Add(Where());
                }
            },
            configure: setup =>
            {
                setup.Endpoint = options => options.Protocols = http2 ? HttpProtocols.Http2 : HttpProtocols.Http1;
                setup.Pipeline = static app => app.UseWebSockets();
            });
        using (ClientWebSocket client = await WebSocketServer.ConnectAsync(server, http2: http2))
        {
            byte[] buffer = new byte[10_000];
            for (int size = 0; size < 9_000; size = (size * 2) + 1)
            {
                await client.SendAsync(new byte[size], WebSocketMessageType.Binary, endOfMessage: true, default).InTime();
                Assert.Equal(size, (await client.ReceiveAsync(buffer, default).InTime()).Count);
            }

            await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default).InTime();
        }

        await server.StopAsync();
        Assert.Equal([OnWorker], places.Distinct());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_body_is_read_on_workers_to_its_end(bool tls, bool chunked)
    {
        using X509Certificate2? certificate = tls ? TestCertificate.Create() : null;
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                HashSet<string> places = [];
                byte[] buffer = new byte[50_000];
                long total = 0;
                for (int read; (read = await context.Request.Body.ReadAsync(buffer)) != 0; total += read)
                {
                    places.Add(Where());
                }

                places.Add(Where());
                await context.Response.WriteAsync($"{total}: {string.Join(',', places)}");
            },
            configure: setup =>
            {
                setup.Kestrel = static kestrel => kestrel.Limits.MaxRequestBodySize = null;
                setup.Endpoint = options =>
                {
                    if (certificate is not null)
                    {
                        options.UseHttps(certificate);
                    }
                };
            });
        using HttpClient client = HttpClients.Create(server, "1.1", certificate);
        client.DefaultRequestHeaders.TransferEncodingChunked = chunked;
        using var content = new ByteArrayContent(new byte[10_000_000]);
        using HttpResponseMessage response = await client.PostAsync((Uri?)null, content).InTime();
        Assert.Equal($"10000000: {OnWorker}", await response.Content.ReadAsStringAsync());
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
