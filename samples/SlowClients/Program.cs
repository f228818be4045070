using SlowClients;

var commandLine = new CommandLine(
    "SlowClients",
    new Option("attack", "ADDRESS", "attack a server that runs, such as http://127.0.0.1:5000, instead of being one") { IsAddress = true },
    new Option("attackers", "N", "with --attack: how many of each kind (10)") { IsNumber = true },
    new Option("seconds", "N", "with --attack: for how long, if they do not leave (15)") { IsNumber = true },
    new Option("port", "N", "where to listen, with limits; without them on the next one (5000)") { IsNumber = true, Maximum = 65_534 },
    new Option("limit", "N", "how many seconds a client may do nothing (2)") { IsNumber = true });
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

if (commandLine["attack"] is not { } address)
{
    await GuardedServer.RunAsync(
        (int)commandLine.Number("port", 5000), TimeSpan.FromSeconds(commandLine.Number("limit", 2)));
    return 0;
}

var attack = new Attack(
    new Uri(address), (int)commandLine.Number("attackers", 10), TimeSpan.FromSeconds(commandLine.Number("seconds", 15)));
return await attack.RunAsync() ? 0 : 1;
