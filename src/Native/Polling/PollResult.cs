namespace KestrelNetpoll.Native.Polling;

/// <summary>The outcome of looking at, or waiting for, a descriptor.</summary>
internal enum PollResult
{
    /// <summary>Try the system call now. It may still say EAGAIN: any event may be spurious.</summary>
    Ready,

    /// <summary>The waiter is parked and will be woken exactly once.</summary>
    Pending,

    /// <summary>The descriptor was closed by its owner.</summary>
    Closing,

    /// <summary>The deadline of this direction has passed.</summary>
    TimedOut,

    /// <summary>The kernel reported an error and nothing else: this descriptor cannot signal readiness.</summary>
    NotPollable,
}
