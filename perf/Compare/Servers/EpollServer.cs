using System.Globalization;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>The C program on epoll that echoes, as a floor: it speaks no HTTP, so that <c>/proc</c> has to say what it uses.</summary>
internal sealed class EpollServer(ServerProcess process) : MeasuredServer
{
    private const long NanosecondsPerMicrosecond = 1000;

    internal override string Transport => process.Transport;

    internal override string Host => ServerProcess.Host;

    internal override int? LocalPid => process.Pid;

    internal override int Port(string endpoint) => process.Port(endpoint);

    internal override Task<ProcessUsage> ReadUsageAsync(bool collect, bool resetPeak, CancellationToken cancellationToken)
    {
        // Its one thread is the process: in nanoseconds, the time it ran.
        string[] schedule = File.ReadAllText($"/proc/{process.Pid}/schedstat").Split(' ');
        Dictionary<string, string> status = File.ReadLines($"/proc/{process.Pid}/status")
            .Select(static line => line.Split(':', count: 2))
            .ToDictionary(static pair => pair[0], static pair => pair[^1].Trim().Split(' ')[0]);
        long Status(string name) => long.Parse(status[name], CultureInfo.InvariantCulture);

        const long kilobyte = 1024;
        return Task.FromResult(new ProcessUsage(
            process.Pid,
            Transport,
            UserMicroseconds: long.Parse(schedule[0], CultureInfo.InvariantCulture) / NanosecondsPerMicrosecond,
            SystemMicroseconds: 0,
            Status("voluntary_ctxt_switches"),
            Status("nonvoluntary_ctxt_switches"),
            AllocatedBytes: 0,
            HeapBytes: 0,
            Status("VmRSS") * kilobyte,
            Status("VmHWM") * kilobyte,
            Threads: 1,
            Environment.ProcessorCount,
            ProcessUsage.ReadBootId(),
            AllowedProcessors: status["Cpus_allowed_list"]));
    }

    public override ValueTask DisposeAsync() => process.DisposeAsync();
}
