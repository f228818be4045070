namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the monitor has seen and done at one look.</summary>
internal struct MonitorFindings
{
    /// <summary>A processor has got another worker, or its turn had ended when it was to get one.</summary>
    internal bool HandedOff { get; set; }

    /// <summary>A turn waits that did not at the last look: soon one will know.</summary>
    internal bool Suspicion { get; set; }

    /// <summary>A processor was to get another worker, and there is none. Changes nothing about the next look; tests ask for it.</summary>
    internal bool Refused { get; set; }

    /// <summary>Output is held: how soon it leaves, if its owner forgets it, depends on the next look.</summary>
    internal bool OutputIsHeld { get; set; }

    internal bool TurnRuns { get; set; }

    /// <summary>A turn runs that was seen at the last look as well.</summary>
    internal bool TurnLasts { get; set; }

    internal bool EveryGroupHasSleeper { get; set; }
}
