using System.Diagnostics;
using System.Globalization;
using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>
/// A PostgreSQL of this run's own, in a directory of its own, on a Unix socket there and on no port. It refuses to run as root: then
/// another user runs it.
/// </summary>
internal sealed class PostgresServer : Companion
{
    private const string Install = "apt-get install postgresql";
    private const string Packaged = "/usr/lib/postgresql";
    private const string User = "fortunes";
    private const string Database = "postgres";

    // All legs' pools at once.
    private const string Connections = "400";

    private static readonly string[] OtherUsers = ["postgres", "nobody"];
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    // Quotes, signs that HTML encodes, and letters beyond ASCII: a template that skipped them would show.
    private static readonly string[] Messages =
    [
        "A flush in the hand is worth two in the buffer.",
        "An edge that nobody saw will not come again.",
        "Blocked threads gather no work.",
        "Every socket has two ends, and one of them is not yours.",
        "If a > b and b > c, somebody has sorted it.",
        "Measure twice & publish once.",
        "No news from the kernel is EAGAIN.",
        "Say \"please\" before you say \"SIGKILL\".",
        "The queue is long, but it moves.",
        "Wer zuerst kommt, mahlt zuerst: für alle Fälle.",
        "What is parked must be woken.",
        "<em>Who encodes this?</em>",
    ];

    private readonly string _programs;
    private readonly string _directory;
    private readonly string[] _asUser;
    private Process? _process;

    private PostgresServer(string programs, string directory, string[] asUser)
    {
        _programs = programs;
        _directory = directory;
        _asUser = asUser;
    }

    internal override IReadOnlyList<string> ServerArguments =>
        ["--database", $"Host={_directory};Username={User};Database={Database};Maximum Pool Size=100"];

    private string Data => Path.Combine(_directory, "data");

    /// <exception cref="MissingToolException">It is not installed.</exception>
    internal static async Task<PostgresServer> StartAsync(CancellationToken cancellationToken)
    {
        string programs = FindPrograms() ?? throw new MissingToolException("PostgreSQL", Install);
        string? user = Environment.IsPrivilegedProcess ? FindOtherUser() : null;
        string[] asUser = user is null ? [] : [Program("setpriv"), $"--reuid={user}", $"--regid={GroupOf(user)}", "--clear-groups"];
        DirectoryInfo directory = Directory.CreateTempSubdirectory("compare-postgres-");
        var server = new PostgresServer(programs, directory.FullName, asUser);
        try
        {
            if (user is not null)
            {
                await Tool.RunAsync(Program("chown"), [user, directory.FullName], cancellationToken);
            }

            await server.StartItAsync(cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            // Killed itself, it would leave its memory to the system.
            if (!_process.HasExited)
            {
                await RunAsync("pg_ctl", ["-D", Data, "-m", "immediate", "stop"], CancellationToken.None);
                await _process.WaitForExitAsync();
            }

            _process.Dispose();
        }

        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Where its programs are, the newest version first; null: nowhere.</summary>
    private static string? FindPrograms() => Directory.Exists(Packaged)
        ? Directory.GetDirectories(Packaged)
            .Select(static version => Path.Combine(version, "bin"))
            .Where(static bin => File.Exists(Path.Combine(bin, "initdb")))
            .MaxBy(static bin => int.TryParse(
                Path.GetFileName(Path.GetDirectoryName(bin)), CultureInfo.InvariantCulture, out int version) ? version : 0)
        : Path.GetDirectoryName(Tool.Find("initdb"));

    private static string FindOtherUser() => OtherUsers.First(static user => Entry(user) is not null);

    private static string GroupOf(string user) => Entry(user)![3];

    // Name, password, number, group, and more.
    private static string[]? Entry(string user) =>
        File.ReadLines("/etc/passwd").Select(static line => line.Split(':')).FirstOrDefault(fields => fields[0] == user);

    private static string Program(string name) =>
        Tool.Find(name) ?? throw new MissingToolException(name, "apt-get install util-linux coreutils");

    private async Task StartItAsync(CancellationToken cancellationToken)
    {
        await RunAsync("initdb", ["-D", Data, "-U", User, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"], cancellationToken);
        string[] command =
        [
            .. _asUser, Path.Combine(_programs, "postgres"), "-D", Data, "-k", _directory,
            "-c", "listen_addresses=", "-c", "fsync=off", "-c", $"max_connections={Connections}", "-c", "logging_collector=off",
            "-c", "log_min_messages=panic",
        ];
        _process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { WorkingDirectory = _directory })!;
        await WaitUntilReadyAsync(cancellationToken);
        string rows = string.Join(", ", Messages.Select(static (message, i) => FormattableString.Invariant($"({i + 1}, '{message}')")));
        await RunAsync(
            "psql",
            [
                "-h", _directory, "-U", User, "-d", Database, "-q", "-v", "ON_ERROR_STOP=1",
                "-c", "CREATE TABLE fortune (id integer PRIMARY KEY, message text NOT NULL)",
                "-c", $"INSERT INTO fortune VALUES {rows}",
                "-c", "ANALYZE fortune",
            ],
            cancellationToken);
    }

    private async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await RunAsync("pg_isready", ["-q", "-h", _directory, "-U", User, "-d", Database], cancellationToken);
                return;
            }
            catch (LoadException) when (!_process!.HasExited && Stopwatch.GetElapsedTime(start) < StartTimeout)
            {
                await Task.Delay(Interval, cancellationToken);
            }
        }
    }

    private Task<ToolOutput> RunAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        string[] command = [.. _asUser, Path.Combine(_programs, program), .. arguments];

        // The other user may not be allowed into ours.
        return Tool.RunAsync(command[0], command[1..], cancellationToken, workingDirectory: _directory);
    }
}
