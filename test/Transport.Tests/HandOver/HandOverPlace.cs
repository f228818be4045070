using System.Globalization;
using KestrelNetpoll.Transport.HandOver;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>A folder in which processes, or hosts of this one, take over from each other, and one port.</summary>
internal sealed class HandOverPlace : IDisposable
{
    internal const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("netpoll-");
    private int _servers;

    // Who runs the tests may be a unit of systemd, and the servers here are none of it.
    static HandOverPlace() => Environment.SetEnvironmentVariable("INVOCATION_ID", null);

    internal string Path => System.IO.Path.Combine(_folder.FullName, "hand-over");

    /// <summary>Of the first server, and so of all.</summary>
    internal int Port { get; private set; }

    internal string FileNamed(string name) => System.IO.Path.Combine(_folder.FullName, name);

    /// <summary>The next host. Its number, from 1 on, is what it answers.</summary>
    internal async Task<TestServer> StartAsync(
        Action<TestServerSetup>? configure = null, Action<NetpollTransportOptions>? netpoll = null, HandOverTimes? times = null)
    {
        string number = (++_servers).ToString(CultureInfo.InvariantCulture);
        TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.Port = Port;
            setup.App = context => context.Response.WriteAsync(number);
            configure?.Invoke(setup);
            setup.Netpoll = options =>
            {
                options.HandOverPath = Path;
                options.HandOverGracePeriod = Patience.Limit;
                netpoll?.Invoke(options);
            };
            Action<IServiceCollection>? services = setup.Services;
            setup.Services = collection =>
            {
                services?.Invoke(collection);
                if (times is not null)
                {
                    collection.AddSingleton(times);
                }
            };
        });
        if (Port == 0)
        {
            Port = server.EndPoint.Port;
        }

        return server;
    }

    /// <summary>The same, once it listens for successors: alone, or in the place of another one.</summary>
    internal async Task<TestServer> StartServingAsync(
        Action<TestServerSetup>? configure = null, Action<NetpollTransportOptions>? netpoll = null, HandOverTimes? times = null)
    {
        bool isFirst = !File.Exists(Path);
        TestServer server = await StartAsync(configure, netpoll, times);
        await Patience.UntilAsync(
            () => isFirst ? IsListenedAt() : server.Logs.Of(TransportKind.Netpoll, 141).Any(), "the new server serves");
        return server;
    }

    /// <summary>The file is there a moment before.</summary>
    internal bool IsListenedAt()
    {
        const string Listens = " 00010000 ";
        return File.ReadLines("/proc/net/unix").Any(
            line => line.Contains(Listens, StringComparison.Ordinal) && line.EndsWith($" {Path}", StringComparison.Ordinal));
    }

    public void Dispose() => _folder.Delete(recursive: true);
}

internal static class HandOverExtensions
{
    /// <summary>Until the host is asked to stop, which is what the end of a drain does.</summary>
    internal static async Task DrainedAsync(this TestServer server)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration registration = server.Services.GetRequiredService<IHostApplicationLifetime>()
            .ApplicationStopping.Register(asked.SetResult);
        await asked.Task.InTime();
    }

    internal static async Task<string> AskAsync(this RawClient client)
    {
        await client.SendAsync(HandOverPlace.Request);
        return (await client.ReadResponseAsync()).Text;
    }
}
