using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Server;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Clients of a SignalR hub over WebSockets, in this process: a new one would measure its own compiling in each pass.</summary>
internal sealed class SignalRLoad : IAsyncDisposable
{
    private const int ConnectingAtOnce = 32;
    private const double MicrosecondsPerSecond = 1e6;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly HubConnection[] _clients;

    private SignalRLoad(HubConnection[] clients) => _clients = clients;

    internal static async Task<SignalRLoad> ConnectAsync(string authority, int count, CancellationToken cancellationToken)
    {
        var load = new SignalRLoad([.. Enumerable.Range(0, count).Select(_ => Create(authority))]);
        try
        {
            await Parallel.ForEachAsync(
                load._clients,
                new ParallelOptions { MaxDegreeOfParallelism = ConnectingAtOnce, CancellationToken = cancellationToken },
                static async (client, token) => await client.StartAsync(token));
            return load;
        }
        catch (WebSocketException e)
        {
            await load.DisposeAsync();
            throw new LoadException($"SignalR: {e.Message}");
        }
        catch
        {
            await load.DisposeAsync();
            throw;
        }
    }

    /// <summary>Each client calls, and calls again when it has the answer.</summary>
    internal Task<LoadResult> InvokeAsync(double seconds, CancellationToken cancellationToken) => MeasureAsync(
        seconds,
        async (latencies, end) =>
        {
            List<double>[] all = await Task.WhenAll(_clients.Select((client, i) => InvokeAsync(client, i, end, cancellationToken)));
            latencies.AddRange(all.SelectMany(static one => one));
        },
        cancellationToken);

    /// <summary>One of them sends a message to all, and another when all have it.</summary>
    internal Task<LoadResult> BroadcastAsync(double seconds, CancellationToken cancellationToken) => MeasureAsync(
        seconds,
        async (latencies, end) =>
        {
            var round = new BroadcastRound(_clients.Length);
            IDisposable[] handlers = [.. _clients.Select(client => client.On<string>("message", round.Receive))];
            while (Stopwatch.GetTimestamp() < end)
            {
                string message = round.Begin();
                await _clients[0].SendAsync("Broadcast", message, cancellationToken);
                latencies.AddRange(await round.Completion.WaitAsync(Patience, cancellationToken));
            }

            Array.ForEach(handlers, static handler => handler.Dispose());
        },
        cancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (HubConnection client in _clients)
        {
            await client.DisposeAsync();
        }
    }

    private static HubConnection Create(string authority) => new HubConnectionBuilder()
        .WithUrl($"http://{authority}/hub", static options =>
        {
            options.Transports = HttpTransportType.WebSockets;
            options.SkipNegotiation = true;
            options.WebSocketConfiguration = static socket => socket.Proxy = null;
        })
        .Build();

    private static async Task<List<double>> InvokeAsync(HubConnection client, int number, long end, CancellationToken cancellationToken)
    {
        List<double> latencies = [];
        string message = number.ToString(CultureInfo.InvariantCulture);
        for (long now = Stopwatch.GetTimestamp(); now < end;)
        {
            long sentAt = now;
            string answer = await client.InvokeAsync<string>("Echo", message, cancellationToken);
            now = Stopwatch.GetTimestamp();
            latencies.Add(Stopwatch.GetElapsedTime(sentAt, now).TotalMicroseconds);
            if (answer != message)
            {
                throw new LoadException($"SignalR answers '{answer}' and not '{message}'.");
            }
        }

        return latencies;
    }

    private static async Task<LoadResult> MeasureAsync(
        double seconds, Func<List<double>, long, Task> load, CancellationToken cancellationToken)
    {
        ResourceUsage before = ResourceUsage.OfThisProcess();
        long start = Stopwatch.GetTimestamp();
        List<double> latencies = [];
        try
        {
            await load(latencies, start + (long)(seconds * Stopwatch.Frequency));
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException or WebSocketException or HubException ||
            (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new LoadException($"SignalR: {e.Message}");
        }

        double elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double cpu = ResourceUsage.OfThisProcess().CpuMicroseconds - before.CpuMicroseconds;
        return new LoadResult
        {
            Seconds = elapsed,
            Requests = latencies.Count,
            Latencies = Percentile.Of(latencies),
            GeneratorCores = cpu / MicrosecondsPerSecond / elapsed,
            GeneratorThreads = Environment.ProcessorCount,
        };
    }
}
