using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>What a load generator has seen, and what it has cost.</summary>
internal sealed record LoadResult
{
    internal required double Seconds { get; init; }

    internal required long Requests { get; init; }

    /// <summary>Gets the bytes that matter: what was received, or sent where bodies were sent.</summary>
    internal long Bytes { get; init; }

    /// <summary>Gets the latencies that it tells, by metric, in microseconds.</summary>
    internal IReadOnlyDictionary<Metric, double> Latencies { get; init; } = new Dictionary<Metric, double>();

    /// <summary>Gets how many processors the generator kept busy.</summary>
    internal double GeneratorCores { get; init; }

    /// <summary>Gets how many it could have kept busy.</summary>
    internal int GeneratorThreads { get; init; } = 1;

    /// <summary>Gets how many processors other load kept busy meanwhile, which has no part in the rate and the latencies.</summary>
    internal double BesideCores { get; init; }

    internal LoadResult From(ToolOutput output, int threads) => this with
    {
        GeneratorCores = output.CpuSeconds / Math.Max(Seconds, double.Epsilon),
        GeneratorThreads = threads,
    };
}
