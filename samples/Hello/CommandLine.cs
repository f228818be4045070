namespace Hello;

/// <summary>What may be said on the command line: a mistyped option would otherwise be passed over in silence.</summary>
internal static class CommandLine
{
    internal const string Help = """
        Usage: Hello [options]
          --transport netpoll|sockets    who serves the connections (netpoll)
          --urls ADDRESS[;ADDRESS...]    where to listen (http://localhost:5000)
          --environment NAME             Production, Development ...
          --SECTION:KEY VALUE            any setting of the configuration, such as --Kestrel:Netpoll:WorkerCount 4
          --help                         this text
        """;

    private static readonly string[] Options = ["transport", "urls", "environment"];

    internal static bool AsksForHelp(string[] args) => args.Any(static arg => arg is "--help" or "-h" or "-?");

    /// <summary>What is wrong; null if nothing is.</summary>
    internal static string? FindMistake(string[] args)
    {
        for (int i = 0; i < args.Length; i++)
        {
            string[] parts = args[i].Split('=', 2);
            if (!parts[0].StartsWith("--", StringComparison.Ordinal))
            {
                return $"'{args[i]}' is no option.";
            }

            string name = parts[0][2..];
            if (!name.Contains(':') && !Options.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                return $"There is no option {parts[0]}.";
            }

            // The value follows, if it is not in the same argument.
            if (parts.Length == 1 && ++i == args.Length)
            {
                return $"{parts[0]} needs a value.";
            }
        }

        return null;
    }
}
