namespace KestrelNetpoll.Perf.Compare.Statistics;

/// <summary>
/// Tells whether a load generator was what limited a rate: its threads had no time left, and the server had. On a machine that both share,
/// a server that uses all that the generator leaves is at its own limit.
/// </summary>
internal static class GeneratorLimit
{
    private const double Busy = 0.95;
    private const double Saturated = 0.9;

    internal static bool Applies(double generatorCores, int generatorThreads, double serverCores, double processors, bool isShared)
    {
        double left = isShared ? Math.Max(0, processors - generatorCores) : processors;
        return generatorCores >= Busy * generatorThreads && serverCores < Saturated * left;
    }
}
