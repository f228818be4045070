namespace KestrelNetpoll.Native.Timers;

/// <summary>What became of a timer entry that came due.</summary>
internal enum DeadlineOutcome
{
    /// <summary>A turn runs: what its owner wanted done at that time.</summary>
    Timer,

    /// <summary>The deadline of a descriptor has passed, whether somebody waited or not.</summary>
    Passed,

    /// <summary>It had been moved later meanwhile, and is armed again.</summary>
    Rearmed,

    /// <summary>It had been taken away meanwhile, or its descriptor closed.</summary>
    Void,
}
