using Microsoft.AspNetCore.SignalR;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>SignalR: an answer to who calls, and a message to everybody.</summary>
internal sealed class MessageHub : Hub
{
#pragma warning disable CA1822 // A static method is none of the hub's.
    public string Echo(string message) => message;
#pragma warning restore CA1822

    public Task Broadcast(string message) => Clients.All.SendAsync("message", message);
}
