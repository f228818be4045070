namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the monitor remembers of a processor; its own, and nobody else's.</summary>
internal sealed class WatchedProcessor(WorkerGroup group, Processor processor)
{
    internal WorkerGroup Group { get; } = group;

    internal Processor Processor { get; } = processor;

    /// <summary>The turn that was seen last, and when it was seen first.</summary>
    internal long State { get; set; }

    internal long Since { get; set; }

    internal long NextKernelLook { get; set; }

    /// <summary>When the kernel was first asked how long the turn's thread has run, 0: not yet; and what it said.</summary>
    internal long CpuTimeAt { get; set; }

    internal long CpuTime { get; set; }

    /// <summary>What somebody has been told last of how long the turn has been blocked, in nanoseconds; 0: nothing yet.</summary>
    internal long BlockedFor { get; set; }

    /// <summary>The turn was stopped for a while, which counts neither as waiting nor as computing.</summary>
    internal void Excuse(long pause)
    {
        if (pause != 0)
        {
            Since += pause;
            NextKernelLook += pause;
            WaitSince += pause;
            CpuTimeAt += CpuTimeAt == 0 ? 0 : pause;
            Waits = false;
        }
    }

    /// <summary>It was in a managed wait at the last look.</summary>
    internal bool Waits { get; set; }

    /// <summary>What the thread had had by then of the machine's processors, and at which look the wait was seen first.</summary>
    internal long WaitCpuTime { get; set; }

    internal long WaitSince { get; set; }

    /// <summary>It was in different waits at two looks in a row.</summary>
    internal bool IsRestless { get; set; }
}
