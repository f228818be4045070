using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>Servers whose application runs on workers only, and where code finds itself in them.</summary>
internal static class WorkersOnlyServer
{
    /// <summary>What <see cref="Where"/> says of code that has not left the workers.</summary>
    internal const string OnWorker = "worker in context";

    internal static Task<TestServer> StartAsync(
        RequestDelegate app, int workers = 2, int groups = 1, Action<TestServerSetup>? configure = null) =>
        TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.App = app;
            setup.Netpoll = options =>
            {
                options.ApplicationScheduling = ApplicationScheduling.WorkersOnly;
                options.WorkerCount = workers;
                options.WorkerGroupCount = groups;
            };
            configure?.Invoke(setup);
        });

    internal static bool IsWorker => Thread.CurrentThread.Name?.StartsWith("netpoll worker", StringComparison.Ordinal) == true;

    internal static string Where() => (IsWorker ? "worker" : Thread.CurrentThread.IsThreadPoolThread ? "pool" : "elsewhere")
        + SynchronizationContext.Current switch
        {
            null => "",
            GroupContext => " in context",
            _ => " in a foreign context",
        };

    internal static async Task<string> GetAsync(RawClient client, string path = "/")
    {
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        return (await client.ReadResponseAsync()).Text;
    }
}
