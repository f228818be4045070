namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The parts of the engine that only make it quicker: whatever is left out, it does the same. A switch of <see cref="AppContext"/> leaves
/// one out, so that anybody can measure what it gains. Immutable.
/// </summary>
internal sealed record EngineParts
{
    /// <summary>What the names of the switches begin with; the rest is the property's name.</summary>
    internal const string SwitchPrefix = "KestrelNetpoll.";

    /// <summary>Whether processors rest without waiting for events while few can do the work: see <see cref="IdleProcessors"/>. Without
    /// it there is no busy polling, either.</summary>
    internal bool IdleProcessors { get; init; } = true;

    /// <summary>Whether a group whose turns are long keeps all its processors awake: see <see cref="Scheduling.LoadMeter"/>.</summary>
    internal bool LoadMeter { get; init; } = true;

    /// <summary>Whether a processor polls for a moment before it sleeps: see <see cref="Scheduling.BusyPolling"/>.</summary>
    internal bool BusyPolling { get; init; } = true;

    /// <summary>
    /// Whether the monitor's pauses depend on what it finds: see <see cref="Scheduling.MonitorPace"/>. Without it they are all as long as
    /// the longest of the fast ones.
    /// </summary>
    internal bool MonitorPace { get; init; } = true;

    /// <summary>Whether flushes outside of turns are held if another one is near.</summary>
    internal bool GatherMeter { get; init; } = true;

    /// <summary>Whether pooled methods of the framework go on inline under a group's context.</summary>
    internal bool Relays { get; init; } = true;

    /// <summary>Whether a connection whose requests end on the thread pool, after much work, may be read there.</summary>
    internal bool Placement { get; init; } = true;

    internal static EngineParts FromSwitches() => new()
    {
        IdleProcessors = IsOn(nameof(IdleProcessors)),
        LoadMeter = IsOn(nameof(LoadMeter)),
        BusyPolling = IsOn(nameof(BusyPolling)),
        MonitorPace = IsOn(nameof(MonitorPace)),
        GatherMeter = IsOn(nameof(GatherMeter)),
        Relays = IsOn(nameof(Relays)),
        Placement = IsOn(nameof(Placement)),
    };

    private static bool IsOn(string part) => !AppContext.TryGetSwitch(SwitchPrefix + part, out bool isOn) || isOn;
}
