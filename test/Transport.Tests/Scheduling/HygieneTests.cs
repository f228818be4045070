using System.Globalization;
using System.IO.Pipelines;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>What a handler leaves on its worker's thread is not there for the next one, of whichever connection.</summary>
[OneMode]
public sealed class HygieneTests
{
    private static readonly AsyncLocal<string?> Ambient = new();

    [Fact]
    public async Task Nothing_leaks_from_one_connection_to_the_next()
    {
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup =>
        {
            setup.Netpoll = static options =>
            {
                (options.WorkerCount, options.WorkerGroupCount) = (1, 1);
                options.ApplicationScheduling = ApplicationScheduling.Workers;
            };
            setup.App = static context =>
            {
                Thread thread = Thread.CurrentThread;
                string seen = $"{Ambient.Value}|{CultureInfo.CurrentCulture.Name}|{thread.Priority}|{thread.IsBackground}|"
                    + $"{SynchronizationContext.Current}|{thread.Name}";
                Ambient.Value = "left behind";
                CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.GetCultureInfo("de-DE");
                SynchronizationContext.SetSynchronizationContext(new SynchronizationContext());
                thread.Name = "renamed";
                thread.IsBackground = false;
                if (OperatingSystem.IsLinux())
                {
                    thread.Priority = ThreadPriority.BelowNormal;
                }

                return context.Response.WriteAsync(seen);
            };
        });

        string expected = $"|{CultureInfo.DefaultThreadCurrentCulture?.Name ?? CultureInfo.InstalledUICulture.Name}|Normal|True||netpoll worker 0/";
        for (int i = 0; i < 20; i++)
        {
            using RawClient client = await server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.StartsWith(expected, (await client.ReadResponseAsync()).Text, StringComparison.Ordinal);
        }
    }

    /// <summary>What flows with the execution context ends with the request, on both transports, whichever connection comes next.</summary>
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_request_sees_nothing_of_the_one_before_it(TransportKind kind)
    {
        await using TestServer server = await TestServer.StartAsync(kind, static setup =>
        {
            setup.Netpoll = static options => (options.WorkerCount, options.WorkerGroupCount) = (1, 1);
            setup.App = static context =>
            {
                string seen = $"{Ambient.Value}|{CultureInfo.CurrentCulture.Name}|{CultureInfo.CurrentUICulture.Name}";
                Ambient.Value = "left behind";
                CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.GetCultureInfo("de-DE");
                return context.Response.WriteAsync(seen);
            };
        });
        string expected = $"|{CultureInfo.CurrentCulture.Name}|{CultureInfo.CurrentUICulture.Name}";
        using RawClient first = await server.ConnectAsync();
        using RawClient second = await server.ConnectAsync();
        for (int i = 0; i < 10; i++)
        {
            // Each of two pipelined requests runs in the turn of the other.
            foreach (RawClient client in (RawClient[])[first, second])
            {
                await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
                Assert.Equal(expected, (await client.ReadResponseAsync()).Text);
                Assert.Equal(expected, (await client.ReadResponseAsync()).Text);
            }
        }
    }

    /// <summary>What belongs to a connection stays with it: its middleware's context reaches its requests, and no others.</summary>
    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task A_request_sees_what_its_own_connections_middleware_has_set(TransportKind kind)
    {
        int connections = 0;
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            setup.Netpoll = static options => (options.WorkerCount, options.WorkerGroupCount) = (1, 1);
            setup.Endpoint = endpoint => endpoint.Use(next => connection =>
            {
                Ambient.Value = Interlocked.Increment(ref connections).ToString(CultureInfo.InvariantCulture);
                return next(connection);
            });
            setup.App = static context => context.Response.WriteAsync(Ambient.Value ?? "");
        });
        using RawClient first = await server.ConnectAsync();
        Assert.Equal("1", await AskAsync(first));
        using RawClient second = await server.ConnectAsync();
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("2", await AskAsync(second));
            Assert.Equal("1", await AskAsync(first));
        }
    }

    /// <summary>An awaiter's own continuation can throw into the turn; an async method's cannot.</summary>
    [Fact]
    public async Task An_exception_that_escapes_into_the_turn_ends_its_connection_and_is_logged()
    {
        await using TransportHarness harness = await TransportHarness.StartAsync(
            options: new NetpollTransportOptions { WorkerCount = 1, ApplicationScheduling = ApplicationScheduling.Workers });
        (NetpollConnection other, RawClient otherClient) = await harness.ConnectAsync();
        (NetpollConnection failing, RawClient client) = await harness.ConnectAsync();
#pragma warning disable CA2012 // An awaiter's work, done by hand.
        failing.Transport.Input.ReadAsync().GetAwaiter().UnsafeOnCompleted(static () => throw new InvalidOperationException("into the turn"));
#pragma warning restore CA2012

        await client.SendAsync("x");

        Assert.Equal(PeerEnd.Reset, (await client.ReadToEndAsync()).End);
        await Patience.UntilAsync(() => harness.Logs.Of(TransportKind.Netpoll, 104).Any(), "the exception is logged");
        LogEntry error = Assert.Single(harness.Logs.Of(TransportKind.Netpoll, 104));
        Assert.Equal((LogLevel.Error, "into the turn"), (error.Level, error.Exception?.Message));
        Assert.Contains(failing.ConnectionId, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, harness.Factory.GetStatistics().FailedTurns);
        await otherClient.SendAsync("x");
        Assert.Equal(1, (await other.Transport.Input.ReadAsync().InTime()).Buffer.Length);

        await failing.DisposeAsync().InTime();
        await other.DisposeAsync().InTime();
        client.Dispose();
        otherClient.Dispose();
    }

    private static async Task<string> AskAsync(RawClient client)
    {
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }
}
