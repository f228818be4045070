using System.Diagnostics;
using System.Text.RegularExpressions;

namespace BlockingHandlers;

/// <summary>
/// The server in a process of its own. Its clients must not need the threads that it lacks, and the next transport is to find a thread pool
/// that nobody has used.
/// </summary>
internal sealed partial class ServerProcess : IDisposable
{
    private readonly Process _process;

    private ServerProcess(Process process, string transport, Uri address)
    {
        _process = process;
        Transport = transport;
        Address = address;
    }

    /// <summary>The one that it has got, by its own account.</summary>
    internal string Transport { get; }

    internal Uri Address { get; }

    internal int Threads
    {
        get
        {
            _process.Refresh();
            return _process.Threads.Count;
        }
    }

    internal static async Task<ServerProcess> StartAsync(string transport)
    {
        // This very program: an executable, or a dll for the dotnet host.
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(ServerProcess).Assembly.Location] : [];
        Process process = Process.Start(new ProcessStartInfo(
            program, [.. host, "--serve", "--until-input-ends", "--transport", transport, "--urls", "http://127.0.0.1:0"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (Listening().Match(line) is { Success: true } match)
            {
                return new ServerProcess(process, match.Groups[1].Value, new Uri(match.Groups[2].Value));
            }
        }

        throw new InvalidOperationException("The server has ended.");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    [GeneratedRegex(@"^Transport: (\w+).* Listening on (\S+)$")]
    private static partial Regex Listening();
}
