using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// A descriptor that <see cref="PollPoller"/> watches: what poll(2) is asked about it. All of it is guarded by the poller's lock.
/// </summary>
/// <remarks>
/// poll(2) says what is, again and again. It becomes an edge by not being asked again:
/// <code>
///   event       asked for                                       until
///   ---------   ---------------------------------------------   -------------------------------------------------
///   IN, OUT     from <see cref="Arm"/> on; IN of a connection   it was told, or the hang-up
///               also from the start, and see below
///   RDHUP       from the start                                  it was told: it never goes away
///   PRI         from the start, of connections                  the same: only the first time matters
///   HUP, ERR    always, it cannot be helped                     they were told: then nothing is asked until <see cref="Arm"/>
/// </code>
/// Input of a connection that comes while nobody reads is to be told as well (<see cref="ReadyList.Unread"/>). Asked at once after it was
/// told, it would be told twice, since nobody has received it yet. So it is asked again some milliseconds later, and then ever less often,
/// until a reader comes.
/// </remarks>
internal sealed class PollSlot : PollRegistration
{
    internal const long ShortestQuiet = 5 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongestQuiet = 1_000 * MonotonicClock.NanosecondsPerMillisecond;

    private const short ReadableMask = LibC.POLLIN | LibC.POLLRDHUP | GoneMask;
    private const short HangupMask = LibC.POLLRDHUP | GoneMask;
    private const short WritableMask = LibC.POLLOUT | GoneMask;

    // NVAL: a stranger has closed the number. Whoever waits finds out by its own call.
    private const short GoneMask = LibC.POLLHUP | LibC.POLLERR | LibC.POLLNVAL;

    private readonly PollPoller _poller;
    private readonly bool _tellsUnread;
    private long _quiet = ShortestQuiet;

    internal PollSlot(PollPoller poller, int fd, PollCookie cookie, PollInterest interest)
    {
        _poller = poller;
        Fd = fd;
        Cookie = cookie;
        _tellsUnread = interest == PollInterest.Socket;
        Asked = interest switch
        {
            PollInterest.Socket => LibC.POLLIN | LibC.POLLRDHUP | LibC.POLLPRI,
            PollInterest.SharedListener => 0,
            _ => LibC.POLLRDHUP,
        };
    }

    internal int Fd { get; }

    internal PollCookie Cookie { get; }

    internal short Asked { get; private set; }

    /// <summary>A hang-up or an error was told, and would be told for ever.</summary>
    internal bool IsSilent { get; private set; }

    /// <summary>When to ask again whether there is input that nobody reads; never if it is <see cref="long.MaxValue"/>.</summary>
    internal long QuietUntil { get; private set; } = long.MaxValue;

    /// <summary>Its place in the <see cref="PollSet"/>; negative: it is not in there.</summary>
    internal int Index { get; set; } = -1;

    /// <summary>The number is in the kernel's hands.</summary>
    internal bool IsPolled { get; set; }

    /// <summary>What the kernel has been asked, if it is.</summary>
    internal short Polled { get; set; }

    internal static PollReadiness Translate(short events)
    {
        PollReadiness readiness = PollReadiness.None;
        readiness |= (events & ReadableMask) != 0 ? PollReadiness.Readable : 0;
        readiness |= (events & WritableMask) != 0 ? PollReadiness.Writable : 0;
        readiness |= (events & HangupMask) != 0 ? PollReadiness.Hangup : 0;
        readiness |= (events & GoneMask) != 0 ? PollReadiness.Gone : 0;
        readiness |= (events & LibC.POLLPRI) != 0 ? PollReadiness.Urgent : 0;
        return events == LibC.POLLERR ? readiness | PollReadiness.ErrorOnly : readiness;
    }

    internal override void Arm(PollMode mode) => _poller.Arm(this, mode);

    internal void Ask(PollMode mode)
    {
        IsSilent = false;
        Asked |= mode == PollMode.Read ? LibC.POLLIN : LibC.POLLOUT;
        if (mode == PollMode.Read)
        {
            _quiet = ShortestQuiet;
            QuietUntil = long.MaxValue;
        }
    }

    /// <summary>The quiet time is over.</summary>
    internal void AskForUnread()
    {
        Asked |= LibC.POLLIN;
        QuietUntil = long.MaxValue;
    }

    /// <summary>It was told: what would be told again is not asked any more.</summary>
    internal void OnTold(PollReadiness readiness, short events)
    {
        short told = events;
        told |= (readiness & PollReadiness.Readable) != 0 ? LibC.POLLIN : (short)0;
        told |= (readiness & PollReadiness.Writable) != 0 ? LibC.POLLOUT : (short)0;
        Asked &= (short)~told;
        IsSilent |= (readiness & PollReadiness.Gone) != 0;
        if (_tellsUnread && (readiness & (PollReadiness.Readable | PollReadiness.Hangup)) == PollReadiness.Readable)
        {
            QuietUntil = MonotonicClock.Now + _quiet;
            _quiet = Math.Min(LongestQuiet, 2 * _quiet);
        }
        else if ((readiness & PollReadiness.Hangup) != 0)
        {
            QuietUntil = long.MaxValue;
        }
    }
}
