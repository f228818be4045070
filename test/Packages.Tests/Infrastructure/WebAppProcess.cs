using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>The app of `dotnet new web`, run on a free port of the loopback interface.</summary>
internal sealed partial class WebAppProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Stopwatch _sinceStart = Stopwatch.StartNew();

    private WebAppProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += OnLine;
        _process.ErrorDataReceived += OnLine;
        _process.Exited += (_, _) => _address.TrySetException(new InvalidOperationException("The app has ended."));
        _process.Start();
        _process.StandardInput.Close();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    internal string Output => string.Join('\n', _lines);

    /// <summary>From the start of the process to its first answer.</summary>
    internal TimeSpan StartTime { get; private set; }

    /// <summary>The files that are mapped into the process.</summary>
    internal string Maps => File.ReadAllText($"/proc/{_process.Id}/maps");

    internal static WebAppProcess Start(string program, params ReadOnlySpan<string> arguments)
    {
        Dictionary<string, string?> environment = new()
        {
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ROOT"] = null,
        };
        return new WebAppProcess(Tool.Describe(program, Path.GetDirectoryName(program)!, environment, arguments));
    }

    /// <summary>What it answers to a request for its root.</summary>
    internal async Task<string> AskAsync()
    {
        try
        {
            using HttpClient client = new() { BaseAddress = await _address.Task.WaitAsync(Patience), Timeout = Patience };
            string answer = await client.GetStringAsync(new Uri("/", UriKind.Relative));
            StartTime = StartTime == TimeSpan.Zero ? _sinceStart.Elapsed : StartTime;
            return answer;
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"No answer from {_process.StartInfo.FileName}:\n{Output}", exception);
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void OnLine(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is null)
        {
            return;
        }

        _lines.Enqueue(line.Data);
        if (Listening().Match(line.Data) is { Success: true } match)
        {
            _address.TrySetResult(new Uri(match.Groups[1].Value));
        }
    }

    [GeneratedRegex(@"Now listening on: (http://\S+)")]
    private static partial Regex Listening();
}
