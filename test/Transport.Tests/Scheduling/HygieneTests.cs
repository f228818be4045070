using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scheduling;

/// <summary>What a handler leaves on its worker's thread is not there for the next one, of whichever connection.</summary>
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
}
