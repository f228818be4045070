namespace KestrelNetpoll.Transport;

/// <summary>What a worker thread that is blocked was found doing.</summary>
public enum BlockedTurnCause
{
    /// <summary>It is not known: it had ended by the time that somebody looked, or the kernel does not say.</summary>
    Unknown,

    /// <summary>A wait that .NET knows of: a lock, an event, <c>Task.Wait</c> or <c>Task.Result</c>, <c>Thread.Sleep</c>.</summary>
    ManagedWait,

    /// <summary>A sleep in the kernel, as in a synchronous read of a socket or of a file.</summary>
    KernelCall,

    /// <summary>Computing, or ready to, and waiting for a processor of the machine.</summary>
    Computing,
}
