using System.Diagnostics;
using System.Text.Json;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>
/// A load program that prints a line when it is where it should be, stays there until its standard input ends, and then reports.
/// </summary>
internal sealed class BackgroundLoad : IAsyncDisposable
{
    private readonly Process _process;

    private BackgroundLoad(Process process) => _process = process;

    /// <summary>Returns when the program says that it is ready.</summary>
    internal static async Task<BackgroundLoad> StartAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var load = new BackgroundLoad(Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!);
        try
        {
            if (await load._process.StandardOutput.ReadLineAsync(cancellationToken) is null)
            {
                throw await load.FailureAsync(cancellationToken);
            }

            return load;
        }
        catch
        {
            await load.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends it, and returns its report.</summary>
    internal async Task<JsonElement> EndAsync(CancellationToken cancellationToken)
    {
        _process.StandardInput.Close();
        string report = await _process.StandardOutput.ReadToEndAsync(cancellationToken);
        await _process.WaitForExitAsync(cancellationToken);
        return _process.ExitCode == 0 ? OwnReport.Parse(report) : throw await FailureAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private async Task<LoadException> FailureAsync(CancellationToken cancellationToken) => new(
        $"{Path.GetFileName(_process.StartInfo.FileName)} failed: "
        + $"{(await _process.StandardError.ReadToEndAsync(cancellationToken)).Trim()}");
}
