using System.Runtime.CompilerServices;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Plays a scenario on Kestrel's Sockets transport, which is the reference, and on ours, and compares what was observed.</summary>
internal static class Comparison
{
    internal const string Get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    internal const string GetAndClose = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    internal static async Task CompareAsync(Scenario scenario, [CallerMemberName] string name = "")
    {
        Observation sockets = await ObserveAsync(TransportKind.Sockets, scenario);
        Observation netpoll = await ObserveAsync(TransportKind.Netpoll, scenario);

        Check(sockets, TransportKind.Sockets, scenario.OnBoth);
        Check(netpoll, TransportKind.Netpoll, scenario.OnBoth);
        Check(netpoll, TransportKind.Netpoll, scenario.OnNetpoll);
        string difference = Observation.Difference(sockets, netpoll, scenario.Differs);
        Assert.True(difference.Length == 0, $"The transports differ in '{name}'.\n{difference}");
    }

    private static async Task<Observation> ObserveAsync(TransportKind kind, Scenario scenario)
    {
        var stage = new Stage(kind);
        await using TestServer server = await TestServer.StartAsync(kind, setup =>
        {
            if (scenario.App is { } app)
            {
                setup.App = context => app(context, stage);
            }

            if (scenario.Connection is { } connection)
            {
                setup.Endpoint = endpoint => endpoint.Run(context => connection(context, stage));
            }

            scenario.Server?.Invoke(setup);
        });
        stage.Server = server;
        try
        {
            await scenario.Client(stage);
        }
        finally
        {
            foreach (ScriptClient client in stage.Clients)
            {
                client.Dispose();
            }
        }

        // The last events of a connection are logged when it is disposed; stopping waits for that.
        await stage.AllServedAsync();
        await server.StopAsync();
        await server.Pools.AllReturnedAsync();
        return Observation.Of(stage);
    }

    private static void Check(Observation observation, TransportKind kind, Action<Observation>? check)
    {
        try
        {
            check?.Invoke(observation);
        }
        catch (Xunit.Sdk.XunitException e)
        {
            Assert.Fail($"{e.Message}\nObserved on {kind}:\n{observation}");
        }
    }
}
