using System.Diagnostics;

namespace BlockingHandlers;

/// <summary>
/// The server in a process of its own. Its clients must not need the threads that it lacks, and the next transport is to find a thread pool
/// that nobody has used.
/// </summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;

    private ServerProcess(Process process, Uri address)
    {
        _process = process;
        Address = address;
    }

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
        string? line = "";
        while (line is not null && !line.StartsWith(BlockingServer.Listening, StringComparison.Ordinal))
        {
            line = await process.StandardOutput.ReadLineAsync();
        }

        return line is not null
            ? new ServerProcess(process, new Uri(line[BlockingServer.Listening.Length..]))
            : throw new InvalidOperationException("The server has ended.");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
