using System.Globalization;
using BlockingHandlers;

var commandLine = new CommandLine(
    "BlockingHandlers",
    new Option("transport", "sockets|netpoll", "the only one to try (one after the other)"),
    new Option("blocking", "N", "how many clients ask the route that blocks (20 for each processor)") { IsNumber = true },
    new Option("seconds", "N", "how long each transport is tried (3)") { IsNumber = true },
    new Option("serve", null, "only serve, for clients of your own, until Ctrl-C"),
    new Option("until-input-ends", null, "with --serve: or until the standard input ends"),
    Option.Urls);
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

if (commandLine.Has("serve"))
{
    await BlockingServer.RunAsync(
        commandLine["transport"] ?? "netpoll", commandLine["urls"] ?? "http://localhost:5000", commandLine.Has("until-input-ends"));
    return 0;
}

int clients = (int)commandLine.Number("blocking", 20 * Environment.ProcessorCount);
var duration = TimeSpan.FromSeconds(commandLine.Number("seconds", 3));
string[] transports = commandLine["transport"] is { } only ? [only] : ["sockets", "netpoll"];

Print($"{clients} clients ask a route that blocks its thread for 100 ms, and one a fast route. {duration.TotalSeconds} s each.");
Print($"");
Print($"{"transport",-10}{"fast answers",13}{"median",12}{"slowest",12}{"blocking answers",18}{"threads",9}");
foreach (string transport in transports)
{
    Trial trial = await Trial.RunAsync(transport, clients, duration);
    string fast = $"{trial.FastAnswers,13}{Milliseconds(trial.Median),12}{Milliseconds(trial.Slowest),12}";
    Print($"{trial.Transport,-10}{fast}{trial.BlockingAnswers,18}{trial.Threads,9}");
}

return 0;

static string Milliseconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:N1} ms");

static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
