using System.Globalization;
using System.Net;
using KestrelNetpoll.Transport;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Perf.Server;

/// <summary>The command line, checked: a mistyped option would measure something else than its reader believes.</summary>
internal sealed class ServerArguments
{
    private const string Netpoll = "netpoll";
    private const string SocketsInline = "sockets-inline";
    private const string Tls = "--tls";
    private const string NetpollSection = "Kestrel:Netpoll:";

    // Of the engine: what a switch of AppContext leaves out.
    private static readonly string[] Parts =
        ["IdleProcessors", "LoadMeter", "BusyPolling", "MonitorPace", "GatherMeter", "Relays", "Placement"];

    private static readonly string[] Names =
        ["transport", "scheduling", "workers", "groups", "address", "port", "protocols", "http1-port", "tls", "echo-port", "unix",
        "without"];

    internal bool IsNetpoll { get; private init; }

    /// <summary>Gets the parts of the engine that are left out, to measure what they gain.</summary>
    internal string[] Without { get; private init; } = [];

    /// <summary>Gets whether the Sockets transport runs the application on the threads that poll, instead of the thread pool.</summary>
    internal bool IsInline { get; private init; }

    internal ApplicationScheduling Scheduling { get; private init; }

    internal HttpProtocols Protocols { get; private init; }

    /// <summary>Gets the address that all ports are on.</summary>
    internal IPAddress Address { get; private init; } = IPAddress.Loopback;

    /// <summary>Gets the port that speaks <see cref="Protocols"/>; 0 lets the system choose, here and below.</summary>
    internal int Port { get; private init; }

    /// <summary>Gets the port that speaks HTTP/1.1 whatever the first one speaks; null: none.</summary>
    internal int? Http1Port { get; private init; }

    /// <summary>Gets the port with TLS, which speaks HTTP/1.1 and HTTP/2; null: none.</summary>
    internal int? TlsPort { get; private init; }

    /// <summary>Gets the port of the raw echo; null: none.</summary>
    internal int? EchoPort { get; private init; }

    /// <summary>Gets the path of the Unix socket; null: none.</summary>
    internal string? UnixPath { get; private init; }

    /// <summary>Gets the transport's own settings, as they would stand in a configuration file; only those that were given.</summary>
    internal IReadOnlyDictionary<string, string?> NetpollSettings { get; private init; } = new Dictionary<string, string?>();

    /// <summary>
    /// Gives the option that may stand alone the value that it means, because the configuration would take the next option for it.
    /// </summary>
    internal static string[] AddImpliedValues(string[] args) =>
    [
        .. args.Select((argument, i) =>
            argument == Tls && (i + 1 == args.Length || args[i + 1].StartsWith('-')) ? Tls + "=0" : argument),
    ];

    /// <param name="args">The command line.</param>
    /// <param name="configuration">The same, read.</param>
    /// <param name="others">Options that the program has beside those of every measured one.</param>
    /// <exception cref="FormatException">An option is unknown or has no valid value; the message is for the user.</exception>
    internal static ServerArguments Parse(IEnumerable<string> args, IConfiguration configuration, params string[] others)
    {
        string[] names = [.. Names, .. others];
        foreach (string argument in args.Where(static argument => argument.StartsWith("--", StringComparison.Ordinal)))
        {
            string name = argument[2..].Split('=')[0];
            if (!names.Contains(name) && !name.StartsWith(NetpollSection, StringComparison.OrdinalIgnoreCase))
            {
                throw new FormatException(
                    $"{argument} is not an option; there are --{string.Join(", --", names)} and --{NetpollSection}Name.");
            }
        }

        var settings = new Dictionary<string, string?>();
        AddCount(settings, "WorkerCount", configuration["workers"]);
        AddCount(settings, "WorkerGroupCount", configuration["groups"]);
        string transport = Choose("transport", configuration["transport"] ?? Netpoll, [Netpoll, "sockets", SocketsInline]);
        return new ServerArguments
        {
            IsNetpoll = transport == Netpoll,
            IsInline = transport == SocketsInline,
            Scheduling = Enum.Parse<ApplicationScheduling>(Choose(
                "scheduling",
                configuration["scheduling"] ?? nameof(ApplicationScheduling.Workers),
                Enum.GetNames<ApplicationScheduling>())),
            Protocols = Choose("protocols", configuration["protocols"] ?? "http1", ["http1", "http2"]) == "http2"
                ? HttpProtocols.Http2
                : HttpProtocols.Http1,
            Address = ParseAddress(configuration["address"]),
            Port = ParsePort(configuration["port"]) ?? 0,
            Http1Port = ParsePort(configuration["http1-port"]),
            TlsPort = ParsePort(configuration["tls"]),
            EchoPort = ParsePort(configuration["echo-port"]),
            UnixPath = configuration["unix"],
            Without = [.. (configuration["without"]?.Split(',') ?? []).Select(static part => Choose("without", part, Parts))],
            NetpollSettings = settings,
        };
    }

    /// <summary>A value that must be one of a few.</summary>
    /// <exception cref="FormatException">It is none of them; the message is for the user.</exception>
    internal static string Choose(string option, string value, string[] choices) => choices.Contains(value)
        ? value
        : throw new FormatException($"--{option} is '{value}'; it must be one of: {string.Join(", ", choices)}.");

    private static void AddCount(Dictionary<string, string?> settings, string key, string? value)
    {
        if (value is not null)
        {
            settings.Add(NetpollSection + key, value);
        }
    }

    private static IPAddress ParseAddress(string? value) => value is null
        ? IPAddress.Loopback
        : IPAddress.TryParse(value, out IPAddress? address) ? address : throw new FormatException($"'{value}' is not an IP address.");

    private static int? ParsePort(string? value) => value is null
        ? null
        : ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            ? port
            : throw new FormatException($"'{value}' is not a port.");
}
