namespace KestrelNetpoll.Native.Polling;

/// <summary>What an event says about a descriptor, in terms every poller can express.</summary>
[Flags]
internal enum PollReadiness
{
    None = 0,

    /// <summary>A read may make progress: data, end of stream or an error to collect.</summary>
    Readable = 1,

    /// <summary>A write may make progress. The peer having stopped sending does not count.</summary>
    Writable = 2,

    /// <summary>The peer stopped sending, hung up, or an error is pending: a short read no longer proves the kernel drained.</summary>
    Hangup = 4,

    /// <summary>The event was an error and nothing else: equality, not a mask.</summary>
    ErrorOnly = 8,

    /// <summary>
    /// There is urgent data. Receives stop in front of its mark, so that a short one does not prove that the kernel drained. No reason to
    /// wake a reader: what lies behind the mark is reported as <see cref="Readable"/>.
    /// </summary>
    Urgent = 16,

    /// <summary>Both directions have ended, or an error is pending. Always with <see cref="Hangup"/>.</summary>
    Gone = 32,

    /// <summary>Whatever an incarnation remembers for good.</summary>
    Sticky = Hangup | Urgent | Gone,
}

/// <summary>One event as fetched from the kernel. By the time it is dispatched the descriptor may belong to another file.</summary>
internal readonly record struct PollEvent(PollCookie Cookie, PollReadiness Readiness);
