using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>Clients that ask as fast as they can, some on a connection for each request, some on one until the server ends it.</summary>
internal sealed class HandOverLoad : IAsyncDisposable
{
    private const int ClientsOfAKind = 3;

    private readonly EndPoint _endPoint;
    private readonly TimeSpan _pause;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _clients;
    private long _served;
    private long _reconnects;

    /// <param name="endPoint">Of the server.</param>
    /// <param name="pause">Of each client between two requests: processes that start need some of the processors.</param>
    internal HandOverLoad(EndPoint endPoint, TimeSpan pause = default)
    {
        _endPoint = endPoint;
        _pause = pause;
        _clients =
        [
            .. Enumerable.Range(0, ClientsOfAKind).Select(_ => Task.Run(() => AskAsync(keepsAlive: false))),
            .. Enumerable.Range(0, ClientsOfAKind).Select(_ => Task.Run(() => AskAsync(keepsAlive: true))),
        ];
    }

    internal long Served => Interlocked.Read(ref _served);

    /// <summary>How often a connection that was to be kept has been ended by the server, as it must say beforehand.</summary>
    internal long Reconnects => Interlocked.Read(ref _reconnects);

    /// <summary>Fails if a single request has.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients).InTime();
    }

    /// <summary>Until so many more have been served, or one has failed.</summary>
    internal async Task ServeAsync(int more)
    {
        long goal = Served + more;
        await Patience.UntilAsync(() => Served >= goal || _clients.Any(static client => client.IsFaulted), $"{more} more requests are served");
        foreach (Task client in _clients.Where(static client => client.IsFaulted))
        {
            await client;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _stop.Dispose();
    }

    private async Task AskAsync(bool keepsAlive)
    {
        while (!_stop.IsCancellationRequested)
        {
            using RawClient client = await RawClient.ConnectAsync(_endPoint);
            bool goesOn;
            do
            {
                await client.SendAsync(keepsAlive ? "GET / HTTP/1.1\r\nHost: x\r\n\r\n" : "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                RawResponse response = await client.ReadResponseAsync();
                Assert.Equal(200, response.Status);
                Interlocked.Increment(ref _served);
                if (_pause != default)
                {
                    await Task.Delay(_pause);
                }

                goesOn = !response.Headers.TryGetValue("Connection", out string? connection) || connection != "close";
            }
            while (goesOn && !_stop.IsCancellationRequested);
            if (keepsAlive && !goesOn)
            {
                Interlocked.Increment(ref _reconnects);
            }
        }
    }
}
