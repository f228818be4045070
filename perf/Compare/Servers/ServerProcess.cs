using System.Diagnostics;
using System.Globalization;
using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>A server program as a child process, which says on a line what it runs on and where it listens.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    internal const string Host = "127.0.0.1";

    /// <summary>The file of the application that is hand-tuned, beside this program.</summary>
    internal const string Application = "KestrelNetpoll.Perf.Server";

    /// <summary>The file of the applications as people write them.</summary>
    internal const string Apps = "KestrelNetpoll.Perf.Apps";

    private const string Readiness = "Ready: ";

    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Dictionary<string, string> _fields = [];

    private ServerProcess(Process process) => _process = process;

    internal int Pid => _process.Id;

    internal string Transport => Field("transport");

    /// <param name="launcher">What stands in front of its command line, and becomes it.</param>
    /// <param name="program">A path, or the name of a file beside this program.</param>
    /// <param name="arguments">What it is started with.</param>
    /// <param name="cancellationToken">Ends the waiting, and the server.</param>
    /// <exception cref="LoadException">It has not said in time that it serves.</exception>
    internal static async Task<ServerProcess> StartAsync(
        IReadOnlyList<string> launcher, string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        string[] command = [.. launcher, Path.Combine(AppContext.BaseDirectory, program), .. arguments];
        var server = new ServerProcess(Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!);
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timeout.CancelAfter(StartTimeout);
            await server.WaitUntilReadyAsync(timeout.Token);
            return server;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            await server.DisposeAsync();
            throw new LoadException($"{Path.GetFileName(program)} does not get ready.");
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    internal int Port(string endpoint) => int.Parse(Field(endpoint), NumberStyles.None, CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private string Field(string name) => _fields.TryGetValue(name, out string? value)
        ? value
        : throw new LoadException($"The server says nothing of '{name}'.");

    private async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        while (await _process.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
        {
            if (!line.StartsWith(Readiness, StringComparison.Ordinal))
            {
                continue;
            }

            foreach (string field in line[Readiness.Length..].Split(' '))
            {
                string[] pair = field.Split('=', count: 2);
                _fields[pair[0]] = pair[^1];
            }

            return;
        }

        string error = await _process.StandardError.ReadToEndAsync(cancellationToken);
        throw new LoadException($"The server did not start: {error.Trim()}");
    }
}
