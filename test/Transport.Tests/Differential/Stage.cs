using System.Collections.Concurrent;
using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>One play of a scenario: where the application and the clients meet, and what they noted.</summary>
internal sealed class Stage(TransportKind kind)
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _moments = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<string>> _notes = new();
    private readonly List<ScriptClient> _clients = [];

    internal TransportKind Kind => kind;

    /// <summary>Set before the first client of the script connects.</summary>
    internal TestServer Server { get; set; } = null!;

    internal IReadOnlyList<ScriptClient> Clients => _clients;

    internal async Task<ScriptClient> ConnectAsync(IPAddress? address = null)
    {
        var client = new ScriptClient(await RawClient.ConnectAsync(
            address is null ? Server.EndPoint : new IPEndPoint(address, Server.EndPoint.Port)));
        _clients.Add(client);
        return client;
    }

    internal void Reach(string moment) => Moment(moment).TrySetResult();

    internal Task ReachedAsync(string moment) => Moment(moment).Task.InTime();

    internal bool HasReached(string moment) => Moment(moment).Task.IsCompleted;

    internal void Note(string note) => Note("app", note);

    /// <summary>Notes of one lane keep their order; what may happen at the same time goes to different lanes.</summary>
    internal void Note(string lane, string note) => _notes.GetOrAdd(lane, static _ => new()).Enqueue(note);

    /// <summary>Notes how an operation ended, by the exact type of the exception.</summary>
    internal async Task TryAsync(string what, Func<Task> operation)
    {
        try
        {
            await operation();
            Note($"{what}: done");
        }
#pragma warning disable CA1031 // The type is what is compared.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Note($"{what}: {e.GetType().Name}");
        }
    }

    /// <summary>Notes that the token fired, and lets others wait for it under the lane's name.</summary>
    internal void Watch(string lane, CancellationToken token) => token.Register(() =>
    {
        Note(lane, "fired");
        Reach(lane);
    });

    internal Task WatchedLogAsync(int id) =>
        Patience.UntilAsync(() => Server.Logs.Of(kind, id).Any(), $"the transport has logged {id}");

    internal IEnumerable<string> Notes() => _notes
        .OrderBy(static lane => lane.Key, StringComparer.Ordinal)
        .SelectMany(static lane => lane.Value.Select(note => $"{lane.Key}: {note}"));

    internal IEnumerable<string> ClientLines() => _clients.SelectMany(static (client, i) => client.Lines().Select(line => $"#{i} {line}"));

    /// <summary>Every connection has been accepted, served and given up by Kestrel.</summary>
    internal Task AllServedAsync() => Patience.UntilAsync(
        () => CountOfKestrel("ConnectionStart") == _clients.Count && CountOfKestrel("ConnectionStop") == _clients.Count,
        $"{_clients.Count} connection(s) are over");

    /// <summary>So that what a client does next is not over before the server has seen the connection.</summary>
    internal Task AllAcceptedAsync() => Patience.UntilAsync(() => CountOfKestrel("ConnectionStart") == _clients.Count, "the connections are accepted");

    private int CountOfKestrel(string eventName) => Server.Logs.Entries.Count(entry => entry.Id.Name == eventName);

    private TaskCompletionSource Moment(string name) =>
        _moments.GetOrAdd(name, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}
