using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What the monitor can find out about a thread that is inside a turn. Tests replace it.</summary>
internal class BlockedTurnProbe(SystemCalls systemCalls)
{
    // "PID (COMM) S ...": the name has at most 15 characters.
    private const int StatPrefixLength = 64;

    /// <summary>For how many nanoseconds garbage collections have stopped all turns so far. The kernel says of their threads that they
    /// sleep.</summary>
    internal virtual long Paused => GC.GetTotalPauseDuration().Ticks * TimeSpan.NanosecondsPerTick;

    /// <summary>Is it inside a wait that the runtime knows of? Costs next to nothing.</summary>
    internal virtual bool IsInManagedWait(Worker worker) => worker.IsInManagedWait;

    /// <summary>
    /// Does the kernel say that it sleeps (S, D)? Costs three system calls and, for a moment, a descriptor: without one the answer is no,
    /// and a turn in the kernel is treated like one that computes.
    /// </summary>
    internal virtual bool IsInKernelWait(Worker worker)
    {
        SyscallResult opened = systemCalls.Open(worker.StatPath, LibC.O_RDONLY, 0);
        if (opened.IsError)
        {
            return false;
        }

        Span<byte> stat = stackalloc byte[StatPrefixLength];
        SyscallResult read = systemCalls.Read(opened.Value, stat);
        systemCalls.Close(opened.Value);
        return read.IsSuccess && IsSleeping(stat[..read.Value]);
    }

    /// <summary>How long the thread has run on a processor so far, in nanoseconds; 0 if the kernel does not say. Costs one short system
    /// call.</summary>
    internal virtual long GetCpuTime(Worker worker) =>
        systemCalls.GetThreadCpuTime(worker.ThreadId, out long nanoseconds).IsSuccess ? nanoseconds : 0;

    /// <summary>The state is the letter behind the name, which is in brackets and may contain any character.</summary>
    internal static bool IsSleeping(ReadOnlySpan<byte> stat)
    {
        int name = stat.LastIndexOf((byte)')');
        return name >= 0 && name + 2 < stat.Length && stat[name + 2] is (byte)'S' or (byte)'D';
    }
}
