using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>What one play of a scenario showed from the outside, as text, so that a difference can be read.</summary>
internal sealed record Observation(
    IReadOnlyList<string> Client,
    IReadOnlyList<string> App,
    IReadOnlyList<string> TransportLog,
    IReadOnlyList<string> LoudLog)
{
    // What every play logs: the transport what it serves, the host where, and each request. And whether all of a body that nobody
    // wants has arrived when the response is complete: that is a matter of timing.
    private static readonly string[] ExpectedInformation =
        ["ServedByNetpoll", "RequestBodyNotEntirelyRead"];

    private static readonly string[] ExpectedCategories = ["Microsoft.Hosting.Lifetime", "Microsoft.AspNetCore.Hosting.Diagnostics"];

    private const int ReadFin = 6;

    // Pausing and resuming reads (4, 5) is left out: one transport pumps ahead, the other does not.
    private static readonly int[] ComparedIds = [6, 7, 8, 14, 19];

    internal IReadOnlyList<string> this[Aspects aspect] => aspect switch
    {
        Aspects.Client => Client,
        Aspects.App => App,
        Aspects.TransportLog => TransportLog,
        Aspects.LoudLog => LoudLog,
        _ => throw new ArgumentOutOfRangeException(nameof(aspect)),
    };

    internal static Observation Of(Stage stage)
    {
        string category = LogCollector.TransportCategory(stage.Kind);

        // A client that ends because the server did sends its FIN to a closed socket, or still to an open one: timing.
        bool comparesReadFin = stage.Clients.Any(static client => client.HasFinished);
        IEnumerable<string> transportLog = stage.Server.Logs.Entries
            .Where(entry => entry.Category == category && ComparedIds.Contains(entry.Id.Id) && (comparesReadFin || entry.Id.Id != ReadFin))
            .GroupBy(static entry => (entry.Id.Id, entry.Id.Name, entry.Level))
            .OrderBy(static group => group.Key.Id)
            .Select(static group => string.Create(CultureInfo.InvariantCulture, $"{group.Key.Id} {group.Key.Name} {group.Key.Level} x{group.Count()}"));
        IEnumerable<string> loudLog = stage.Server.Logs.Above(LogLevel.Debug)
            .Where(static entry => !IsExpected(entry))
            .Select(entry => string.Create(
                CultureInfo.InvariantCulture,
                $"{entry.Level} {(entry.Category == category ? "transport" : entry.Category)} {entry.Id.Id} {entry.Id.Name} {entry.Exception?.GetType().Name}"))
            .Order(StringComparer.Ordinal);
        return new Observation([.. stage.ClientLines()], [.. stage.Notes()], [.. transportLog], [.. loudLog]);
    }

    /// <summary>Empty if the two agree.</summary>
    internal static string Difference(Observation sockets, Observation netpoll, Aspects left)
    {
        var differences = new List<string>();
        foreach (Aspects aspect in new[] { Aspects.Client, Aspects.App, Aspects.TransportLog, Aspects.LoudLog })
        {
            if (!left.HasFlag(aspect) && !sockets[aspect].SequenceEqual(netpoll[aspect]))
            {
                differences.Add($"{aspect}:\n{Mark("sockets", sockets[aspect], netpoll[aspect])}{Mark("netpoll", netpoll[aspect], sockets[aspect])}");
            }
        }

        return string.Concat(differences);
    }

    /// <summary>Everything, for the message of an assertion.</summary>
    public override string ToString() => string.Concat(
        new[] { Aspects.Client, Aspects.App, Aspects.TransportLog, Aspects.LoudLog }
            .SelectMany(aspect => this[aspect].Select(line => $"  {aspect}: {line}\n")));

    private static bool IsExpected(LogEntry entry) =>
        entry.Level == LogLevel.Information && (ExpectedCategories.Contains(entry.Category) || ExpectedInformation.Contains(entry.Id.Name));

    // A star stands before what the other one does not have at the same place.
    private static string Mark(string name, IReadOnlyList<string> lines, IReadOnlyList<string> others) => lines.Count == 0
        ? $"  {name}: nothing\n"
        : string.Concat(lines.Select((line, i) => $"  {name}:{(i < others.Count && others[i] == line ? " " : "*")}{line}\n"));
}
