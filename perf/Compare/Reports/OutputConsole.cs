using Spectre.Console;

namespace KestrelNetpoll.Perf.Compare.Reports;

/// <summary>Where the program writes: with colours and moving bars to a terminal, plain text to anything else.</summary>
internal static class OutputConsole
{
    private const int WideConsole = 180;

    internal static IAnsiConsole Create()
    {
        // Anything but an empty text, as no-color.org has it.
        bool isPlain = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = Console.IsOutputRedirected || isPlain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
        });

        // A file has room for a row on a line.
        if (Console.IsOutputRedirected)
        {
            console.Profile.Width = WideConsole;
        }

        return console;
    }
}
