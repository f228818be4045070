using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare;

/// <summary>What a run is asked to do, checked.</summary>
internal sealed record CompareOptions
{
    internal const int DefaultPasses = 5;
    internal const double DefaultSeconds = 3;
    internal const int DefaultIdleConnections = 10_000;
    internal const int QuickPasses = 2;
    internal const double QuickSeconds = 1;
    internal const int QuickIdleConnections = 1_000;

    internal required IReadOnlyList<string> Scenarios { get; init; }

    /// <summary>Gets the passes that count; one more is thrown away.</summary>
    internal required int Passes { get; init; }

    internal required double Seconds { get; init; }

    internal required bool IsQuick { get; init; }

    /// <summary>Gets the legs; the first is what the others are divided by.</summary>
    internal required IReadOnlyList<Leg> Legs { get; init; }

    internal required int IdleConnections { get; init; }

    internal required int LoadThreads { get; init; }

    internal string? Generator { get; init; }

    internal bool CountsSystemCalls { get; init; }

    internal required string Output { get; init; }

    internal bool IsAttached => Legs.Any(static leg => leg.Attached is not null);
}
