using System.Runtime.CompilerServices;
using System.Threading.Channels;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Who is connected to the hub of one server.</summary>
public sealed class HubPresence
{
    private readonly Channel<string> _left = Channel.CreateUnbounded<string>();

    internal void Leave(string connectionId) => _left.Writer.TryWrite(connectionId);

    internal Task<string> NextToLeaveAsync() => _left.Reader.ReadAsync().InTime();
}

public sealed class TestHub(HubPresence presence) : Hub
{
    internal static Task<TestServer> StartAsync(TransportKind kind) => TestServer.StartAsync(kind, static setup =>
    {
        setup.Services = static services => services.AddSingleton<HubPresence>().AddSignalR(static options => options.EnableDetailedErrors = true);
        setup.Pipeline = static app =>
        {
            app.UseWebSockets();
            app.UseRouting();

#pragma warning disable ASP0014 // Endpoints that are registered at the top come after the server's App, and are never reached.
            app.UseEndpoints(static endpoints => endpoints.MapHub<TestHub>(
                "/hub", static options => options.Transports = HttpTransportType.WebSockets | HttpTransportType.LongPolling));
#pragma warning restore ASP0014
        };
    });

#pragma warning disable CA1822 // SignalR finds instance methods only.
    public string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

    public Task TellEverybodyAsync(string text) => Clients.All.SendAsync("told", text);

    public async IAsyncEnumerable<int> CountAsync(int to, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (int i = 0; i < to; i++)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            yield return i;
        }
    }

    public async Task<int> SumAsync(IAsyncEnumerable<int> numbers)
    {
        int sum = 0;
        await foreach (int number in numbers)
        {
            sum += number;
        }

        return sum;
    }
#pragma warning restore CA1822

    public override Task OnDisconnectedAsync(Exception? exception)
    {
        presence.Leave(Context.ConnectionId);
        return Task.CompletedTask;
    }
}
