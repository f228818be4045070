using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>A server that speaks HTTP/2 with prior knowledge, and one client of it whose connections are counted.</summary>
internal sealed class Http2Server : IAsyncDisposable
{
    private readonly TestServer _server;
    private NetworkStream? _clientStream;
    private int _connections;

    private Http2Server(TestServer server)
    {
        _server = server;
        Client = HttpClients.Create(server, "2.0", configure: handler => handler.ConnectCallback = async (_, cancellationToken) =>
        {
            Interlocked.Increment(ref _connections);
            _clientStream = await HttpClients.ConnectAsync(server.EndPoint, cancellationToken);
            return _clientStream;
        });
    }

    internal HttpClient Client { get; }

    internal LogCollector Logs => _server.Logs;

    internal IServiceProvider Services => _server.Services;

    /// <summary>How many connections the client has opened.</summary>
    internal int Connections => Volatile.Read(ref _connections);

    internal static async Task<Http2Server> StartAsync(TransportKind kind, RequestDelegate app, Action<KestrelServerOptions>? kestrel = null) =>
        new(await TestServer.StartAsync(kind, setup =>
        {
            setup.Endpoint = static options => options.Protocols = HttpProtocols.Http2;
            setup.Kestrel = kestrel;
            setup.App = app;
        }));

    /// <summary>Ends the client's connection with RST.</summary>
    internal void BreakClient() => _clientStream!.Socket.Close(timeout: 0);

    internal Task StopAsync() => _server.StopAsync();

    internal Task PoolsReturnedAsync() => _server.Pools.AllReturnedAsync();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _server.DisposeAsync();
    }
}
