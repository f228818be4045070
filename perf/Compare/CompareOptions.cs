using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare;

/// <summary>What a run is asked to do, checked.</summary>
internal sealed record CompareOptions
{
    internal const int DefaultPasses = 5;
    internal const double DefaultSeconds = 3;
    internal const int DefaultIdleConnections = 10_000;
    internal const int DefaultConnections = 64;
    internal const int QuickPasses = 2;
    internal const double QuickSeconds = 1;
    internal const int QuickIdleConnections = 1_000;

    internal required IReadOnlyList<string> Scenarios { get; init; }

    /// <summary>Gets routes that are measured as they are, with so many <see cref="Connections"/>.</summary>
    internal IReadOnlyList<string> Paths { get; init; } = [];

    internal int Connections { get; init; } = DefaultConnections;

    /// <summary>Gets the passes that count; one more is thrown away.</summary>
    internal required int Passes { get; init; }

    internal required double Seconds { get; init; }

    internal required bool IsQuick { get; init; }

    /// <summary>Gets the legs; the first is what the others are divided by.</summary>
    internal required IReadOnlyList<Leg> Legs { get; init; }

    /// <summary>Gets the processors that the servers may use; null: all.</summary>
    internal ProcessorList? ServerProcessors { get; init; }

    /// <summary>Gets the percent of one processor that the servers may use; null: no quota.</summary>
    internal int? CpuQuota { get; init; }

    /// <summary>Gets how many programs compute beside it all.</summary>
    internal int Hogs { get; init; }

    internal required int IdleConnections { get; init; }

    internal required int LoadThreads { get; init; }

    internal string? Generator { get; init; }

    internal bool CountsSystemCalls { get; init; }

    internal required string Output { get; init; }

    internal bool IsAttached => Legs.Any(static leg => leg.Attached is not null);
}
