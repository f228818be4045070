namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>What runs beside the measured servers because their application needs it: the same one for all legs.</summary>
internal abstract class Companion : IAsyncDisposable
{
    /// <summary>Gets what the measured servers have to be started with to find it.</summary>
    internal abstract IReadOnlyList<string> ServerArguments { get; }

    public abstract ValueTask DisposeAsync();
}
