using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Servers;
using KestrelNetpoll.Perf.Compare.Statistics;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Measures a load: what its generator has seen, and what the server has used for it.</summary>
internal static class LoadFigures
{
    private const double MicrosecondsPerSecond = 1e6;

    internal static async Task<PassFigures> MeasureAsync(
        MeasuredServer server, Func<Task<LoadResult>> load, CancellationToken cancellationToken)
    {
        ProcessUsage before = await server.ReadUsageAsync(collect: false, resetPeak: true, cancellationToken);
        LoadResult result = await load();
        ProcessUsage after = await server.ReadUsageAsync(collect: false, resetPeak: false, cancellationToken);
        return Of(result, before, after, SharesProcessors(after, ProcessUsage.ReadBootId(), ProcessUsage.ReadAllowedProcessors()));
    }

    /// <param name="server">What the server has told.</param>
    /// <param name="bootId">The machine of the load.</param>
    /// <param name="allowedProcessors">The processors that the load may use.</param>
    internal static bool SharesProcessors(ProcessUsage server, string bootId, string allowedProcessors) =>
        server.BootId == bootId && (server.AllowedProcessors.Length == 0 ||
            ProcessorList.Parse(server.AllowedProcessors).Overlaps(ProcessorList.Parse(allowedProcessors)));

    /// <param name="load">What the generator has seen.</param>
    /// <param name="before">What the server had used before.</param>
    /// <param name="after">What it has used after.</param>
    /// <param name="isShared">Whether the generator takes its processor time from the same processors.</param>
    internal static PassFigures Of(LoadResult load, ProcessUsage before, ProcessUsage after, bool isShared)
    {
        if (load.Requests == 0)
        {
            throw new LoadException("Not one request was answered.");
        }

        double requests = load.Requests;
        double cpu = after.UserMicroseconds - before.UserMicroseconds + after.SystemMicroseconds - before.SystemMicroseconds;
        double serverCores = cpu / MicrosecondsPerSecond / load.Seconds;
        double switches = after.VoluntarySwitches - before.VoluntarySwitches + after.InvoluntarySwitches - before.InvoluntarySwitches;
        double processors = after.Processors - (isShared ? load.BesideCores : 0);
        double allocated = after.AllocatedBytes - before.AllocatedBytes;
        var figures = new PassFigures
        {
            Transport = after.Transport,
            GeneratorLimited = GeneratorLimit.Applies(load.GeneratorCores, load.GeneratorThreads, serverCores, processors, isShared),
            [Metrics.Rate] = requests / load.Seconds,
            [Metrics.Cpu] = cpu / requests,
            [Metrics.Switches] = switches / requests,
            [Metrics.Allocated] = allocated / requests,
            [Metrics.AllocationRate] = allocated / load.Seconds,
            [Metrics.PeakMemory] = after.PeakResidentBytes,
            [Metrics.Compiled] = after.CompiledMethods - before.CompiledMethods,
            [Metrics.ServerCores] = serverCores,
            [Metrics.GeneratorCores] = load.GeneratorCores + load.BesideCores,
        };
        if (load.Bytes > 0)
        {
            figures[Metrics.Throughput] = load.Bytes / load.Seconds;
            figures[Metrics.BytesPerCpuSecond] = load.Bytes / (cpu / MicrosecondsPerSecond);
        }

        figures.Add(load.Latencies);
        return figures;
    }
}
