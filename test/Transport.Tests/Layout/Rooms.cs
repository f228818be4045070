namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>
/// The rooms of the two assemblies, and what each may use: itself, and those that are listed. A namespace is a room. What has none of its
/// own stands at the top and is divided: whoever brings everything together is the entry, which nobody uses; the rest is what both sides of
/// the entry know, and uses hardly anything.
/// </summary>
internal static class Rooms
{
    internal const string Interop = "Native.Interop";

    private const string Prefix = "KestrelNetpoll.";

    private static readonly string[] Engine =
    [
        "Native", "Native.Timers", Interop, "Native.Polling", "Native.Scheduling", "Native.Descriptors", "Native.Sockets",
    ];

    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Native"] = [],
        ["Native.Timers"] = [],
        [Interop] = ["Native.Timers"],
        ["Native.Polling"] = ["Native.Timers", Interop],
        ["Native.Scheduling"] = ["Native.Timers", Interop, "Native.Polling"],
        ["Native.Descriptors"] = ["Native.Timers", Interop, "Native.Polling", "Native.Scheduling"],
        ["Native.Sockets"] = ["Native.Timers", Interop, "Native.Polling", "Native.Scheduling", "Native.Descriptors"],
        ["Native.Files"] = ["Native", "Native.Timers", Interop, "Native.Polling", "Native.Scheduling", "Native.Descriptors"],
        ["Native (entry)"] = [.. Engine, "Native.Files"],

        ["Transport"] = [.. Engine],
        ["Transport.Diagnostics"] = [.. Engine, "Transport"],
        ["Transport.Limits"] = [.. Engine, "Transport", "Transport.Diagnostics"],
        ["Transport.Pipes"] = [.. Engine, "Transport"],
        ["Transport.Writing"] = [.. Engine, "Transport", "Transport.Pipes"],
        ["Transport.Reading"] = [.. Engine, "Transport", "Transport.Pipes", "Transport.Diagnostics", "Transport.Writing"],
        ["Transport.Connections"] =
        [
            .. Engine, "Transport", "Transport.Pipes", "Transport.Diagnostics", "Transport.Limits", "Transport.Reading",
            "Transport.Writing",
        ],
        ["Transport.Listening"] = [.. Engine, "Transport", "Transport.Diagnostics", "Transport.Limits", "Transport.Connections"],
        ["Transport.ProxyProtocol"] = ["Transport"],
        ["Transport.WorkersOnly"] = [.. Engine],
        ["Transport.StatePage"] = [.. Engine, "Transport", "Transport.Diagnostics", "Transport.Connections"],
        ["Transport.Hosting"] =
        [
            .. Engine, "Transport", "Transport.Diagnostics", "Transport.Limits", "Transport.Connections", "Transport.WorkersOnly",
        ],
        ["Transport.HandOver"] =
        [
            .. Engine, "Transport", "Transport.Diagnostics", "Transport.Limits", "Transport.Connections", "Transport.Listening",
            "Transport.Hosting",
        ],
        ["Transport (entry)"] =
        [
            .. Engine, "Transport", "Transport.Diagnostics", "Transport.Connections", "Transport.Listening", "Transport.ProxyProtocol",
            "Transport.WorkersOnly", "Transport.Hosting", "Transport.HandOver", "Transport.StatePage",
        ],
    };

    private static readonly string[] Entries =
    [
        "KestrelNetpoll.Native.NetpollFile", "KestrelNetpoll.Native.NetpollFileStream", "KestrelNetpoll.Transport.NetpollTransportFactory",
        "Microsoft.AspNetCore.Builder.NetpollEndpointRouteBuilderExtensions",
        "Microsoft.AspNetCore.Hosting.ActivatedSocketKestrelServerOptionsExtensions",
        "Microsoft.AspNetCore.Hosting.NetpollWebHostBuilderExtensions", "Microsoft.AspNetCore.Hosting.NetpollListenOptionsExtensions",
        "Microsoft.AspNetCore.Hosting.ProxyProtocolListenOptionsExtensions",
        "Microsoft.Extensions.DependencyInjection.NetpollHealthChecksBuilderExtensions",
        "Microsoft.Extensions.DependencyInjection.NetpollServiceCollectionExtensions",
    ];

    /// <summary>Of a type, by its full name. Null: it is none of ours.</summary>
    internal static string? Of(string type)
    {
        if (Entries.Contains(type))
        {
            return type.StartsWith("KestrelNetpoll.Native", StringComparison.Ordinal) ? "Native (entry)" : "Transport (entry)";
        }

        int end = type.LastIndexOf('.');
        return type.StartsWith(Prefix, StringComparison.Ordinal) && end > Prefix.Length ? type[Prefix.Length..end] : null;
    }

    internal static bool IsKnown(string room) => Allowed.ContainsKey(room);

    internal static bool MayUse(string from, string to) =>
        from == to || (Allowed.TryGetValue(from, out string[]? allowed) && allowed.Contains(to));

    /// <summary>A room that is in a circle with another, by the table itself. Null: there is none.</summary>
    internal static string? FindCircle() => Allowed.Keys.FirstOrDefault(static room => Reach(room).Contains(room));

    private static HashSet<string> Reach(string room)
    {
        var reached = new HashSet<string>();
        var left = new Queue<string>(Allowed[room]);
        while (left.TryDequeue(out string? next))
        {
            if (reached.Add(next))
            {
                foreach (string further in Allowed[next])
                {
                    left.Enqueue(further);
                }
            }
        }

        return reached;
    }
}
