using System.CommandLine;
using System.Globalization;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare;

/// <summary>The command line of the program.</summary>
internal sealed class CommandLine
{
    private readonly Option<string[]> _scenarios = new("--scenarios")
    {
        Description = "Names or globs of scenarios, with commas between; all without it, the quick ones with --quick.",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string[]> _paths = new("--path")
    {
        Description = "Any route of the server, /awaits or /spin/1, with commas between: a scenario each; others only if they are named.",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int> _connections = new("--connections")
    {
        Description = "The connections of --path.",
        DefaultValueFactory = static _ => CompareOptions.DefaultConnections,
    };

    private readonly Option<int?> _passes = new("--passes")
    {
        Description =
            $"Passes that count, beside the one that is thrown away. [{CompareOptions.DefaultPasses}; quick: {CompareOptions.QuickPasses}]",
    };

    private readonly Option<double?> _seconds = new("--seconds")
    {
        Description = $"How long each pass lasts. [{CompareOptions.DefaultSeconds}; quick: {CompareOptions.QuickSeconds}]",
    };

    private readonly Option<bool> _quick = new("--quick")
    {
        Description = "Few scenarios and short passes: shows that all works, and roughly how it stands.",
    };

    private readonly Option<string> _legs = new("--legs")
    {
        Description = $"What is compared, the baseline first: {string.Join(", ", Leg.Names)}.",
        DefaultValueFactory = static _ => $"{Leg.Sockets},{Leg.Netpoll}",
    };

    private readonly Option<string[]> _servers = new("--server")
    {
        Description = "A server that runs already, LEG=http://HOST:PORT[,https=PORT][,echo=PORT]; once for each leg, the baseline first.",
    };

    private readonly Option<string?> _scheduling = new("--scheduling") { Description = $"The ApplicationScheduling of {Leg.Netpoll}." };
    private readonly Option<int?> _workers = new("--workers") { Description = "netpoll's WorkerCount." };
    private readonly Option<int?> _groups = new("--groups") { Description = "netpoll's WorkerGroupCount." };

    private readonly Option<string?> _serverProcessors = new("--server-processors")
    {
        Description = "The processors that the servers may use, as taskset writes them: 0,2-3. The load is where this program is.",
    };

    private readonly Option<int?> _cpuQuota = new("--cpu-quota")
    {
        Description = "Percent of one processor that the servers may use, by a cgroup that is made for the run; needs root.",
    };

    private readonly Option<int> _hogs = new("--hogs")
    {
        Description = "So many programs compute beside it all, on the processors that this program has.",
    };

    private readonly Option<int?> _idleConnections = new("--idle-connections")
    {
        Description = $"How many idle connections. [{CompareOptions.DefaultIdleConnections}; quick: {CompareOptions.QuickIdleConnections}]",
    };

    private readonly Option<int?> _loadThreads = new("--load-threads")
    {
        Description = "Threads of the load generators that let one choose. [half of the processors]",
    };

    private readonly Option<string?> _generator = new("--generator")
    {
        Description =
            "The load generator that is preferred where it can do what is wanted: bombardier, wrk, httpload. [the first that is there]",
    };

    private readonly Option<bool> _systemCalls = new("--system-calls")
    {
        Description = "Counts system calls in one more pass of each leg, with strace; that pass gives no other figures.",
    };

    private readonly Option<string> _out = new("--out")
    {
        Description = "The directory that gets results.json, results.md and the charts.",
        DefaultValueFactory = static _ => Path.Combine("artifacts", "compare"),
    };

    private readonly Option<string?> _render = new("--render")
    {
        Description = "Measures nothing: makes the tables and charts of a results.json anew.",
    };

    private readonly Option<bool> _list = new("--list") { Description = "Lists the scenarios." };

    internal RootCommand Create(
        Func<CompareOptions, CancellationToken, Task<int>> measure, Func<string, string?, int> render, Func<int> list)
    {
        var root = new RootCommand("Compares netpoll with Kestrel's Sockets transport, the same application on both.")
        {
            _scenarios, _paths, _connections, _passes, _seconds, _quick, _legs, _servers, _scheduling, _workers, _groups,
            _serverProcessors, _cpuQuota, _hogs, _idleConnections, _loadThreads, _generator, _systemCalls, _out, _render, _list,
        };
        root.SetAction((parsed, cancellationToken) =>
        {
            if (parsed.GetValue(_list))
            {
                return Task.FromResult(list());
            }

            // Beside the file that it comes from, unless another place is named.
            return parsed.GetValue(_render) is { } file
                ? Task.FromResult(render(file, parsed.GetResult(_out)?.Implicit == false ? parsed.GetValue(_out) : null))
                : measure(Read(parsed), cancellationToken);
        });
        return root;
    }

    private CompareOptions Read(ParseResult parsed)
    {
        bool isQuick = parsed.GetValue(_quick);
        return new CompareOptions
        {
            Scenarios = parsed.GetValue(_scenarios) ?? [],
            Paths = ReadPaths(parsed.GetValue(_paths) ?? []),
            Connections = AtLeastOne("--connections", parsed.GetValue(_connections)),
            IsQuick = isQuick,
            Passes = AtLeastOne(
                "--passes", parsed.GetValue(_passes) ?? (isQuick ? CompareOptions.QuickPasses : CompareOptions.DefaultPasses)),
            Seconds = AtLeastOne(
                "--seconds", parsed.GetValue(_seconds) ?? (isQuick ? CompareOptions.QuickSeconds : CompareOptions.DefaultSeconds)),
            IdleConnections = AtLeastOne(
                "--idle-connections",
                parsed.GetValue(_idleConnections)
                ?? (isQuick ? CompareOptions.QuickIdleConnections : CompareOptions.DefaultIdleConnections)),
            LoadThreads = AtLeastOne("--load-threads", parsed.GetValue(_loadThreads) ?? Math.Max(1, Environment.ProcessorCount / 2)),
            Legs = ReadLegs(parsed),
            ServerProcessors = parsed.GetValue(_serverProcessors) is { } processors ? ProcessorList.Parse(processors) : null,
            CpuQuota = parsed.GetValue(_cpuQuota) is { } quota ? AtLeastOne("--cpu-quota", quota) : null,
            Hogs = parsed.GetValue(_hogs) is var hogs and >= 0 ? hogs : throw new FormatException("--hogs must not be negative."),
            Generator = parsed.GetValue(_generator),
            CountsSystemCalls = parsed.GetValue(_systemCalls),
            Output = parsed.GetValue(_out)!,
        };
    }

    private static string[] ReadPaths(string[] values)
    {
        string[] paths = [.. values.SelectMany(static value =>
            value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct()];
        return paths.FirstOrDefault(static path => !path.StartsWith('/')) is { } wrong
            ? throw new FormatException($"'{wrong}' is no path; a path begins with /.")
            : paths;
    }

    private Leg[] ReadLegs(ParseResult parsed)
    {
        if (parsed.GetValue(_servers) is { Length: > 0 } servers)
        {
            if (parsed.GetValue(_serverProcessors) is not null || parsed.GetValue(_cpuQuota) is not null)
            {
                throw new FormatException("--server-processors and --cpu-quota are for servers that are started, and not for --server.");
            }

            return Distinct([.. servers.Select(static server => Leg.Attach(AttachedServer.Parse(server)))]);
        }

        string[] netpollArguments =
        [
            .. Number("--workers", parsed.GetValue(_workers)),
            .. Number("--groups", parsed.GetValue(_groups)),
        ];
        string[] names = parsed.GetValue(_legs)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return names.FirstOrDefault(static name => !Leg.Names.Contains(name)) is { } unknown
            ? throw new FormatException($"'{unknown}' is no leg; there are {string.Join(", ", Leg.Names)}.")
            : Distinct([.. names.Select(name => Leg.Start(name, netpollArguments, parsed.GetValue(_scheduling)))]);
    }

    private static Leg[] Distinct(Leg[] legs) => legs.Length > 0 && legs.DistinctBy(static leg => leg.Name).Count() == legs.Length
        ? legs
        : throw new FormatException("There must be a leg, and none twice.");

    private static string[] Number(string option, int? value) =>
        value is null ? [] : [option, value.Value.ToString(CultureInfo.InvariantCulture)];

    private static T AtLeastOne<T>(string option, T value)
        where T : IComparable<T>, IConvertible =>
        value.ToDouble(CultureInfo.InvariantCulture) >= 1 ? value : throw new FormatException($"{option} must be at least 1.");
}
