namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// One snapshot of a descriptor's info word: its identity (fdseq) and everything an operation has to know before it waits. It has
/// 64 bits, so that "is this still the same incarnation?" and "change this bit" are one compare-and-swap.
/// </summary>
/// <remarks>
/// <code>
///  63                 32 31      7    6      5       4       3       2       1       0
/// +---------------------+----------+------+--------+--------+-------+-------+-------+--------+
/// | fdseq, full width   |  unused  | gone | urgent | hangup | write | read  | event | closing|
/// |                     |          | seen |  seen  |  seen  | expir.| expir.| error |        |
/// +---------------------+----------+------+--------+--------+-------+-------+-------+--------+
/// </code>
/// The whole fdseq is mirrored. Go mirrors 20 bits of it, and 16 of them fit into its word. After 65,536 reuses of one slot the comparison
/// fails there, most of the time, and the error bit is never set again.
/// </remarks>
internal readonly record struct PollInfo(ulong Word)
{
    /// <summary>The descriptor is being closed. Written under the descriptor's lock.</summary>
    internal const ulong Closing = 1ul << 0;

    /// <summary>The last event was an error and nothing else. Written by whoever dispatches an event, without the lock.</summary>
    internal const ulong EventError = 1ul << 1;

    /// <summary>The read deadline has passed. Written under the descriptor's lock.</summary>
    internal const ulong ReadExpired = 1ul << 2;

    /// <summary>The write deadline has passed. Written under the descriptor's lock.</summary>
    internal const ulong WriteExpired = 1ul << 3;

    /// <summary>A hang-up or error was reported for this incarnation. Sticky; written by whoever dispatches an event.</summary>
    internal const ulong HangupSeen = 1ul << 4;

    /// <summary>Urgent data was reported for this incarnation. Sticky; written by whoever dispatches an event.</summary>
    internal const ulong UrgentSeen = 1ul << 5;

    /// <summary>Both directions have ended, or an error was reported. Sticky; written by whoever dispatches an event.</summary>
    internal const ulong GoneSeen = 1ul << 6;

    private const int FdseqShift = 32;

    /// <summary>The incarnation this word belongs to; never 0 while the descriptor is open.</summary>
    internal uint Fdseq => (uint)(Word >> FdseqShift);

    internal bool Has(ulong flag) => (Word & flag) != 0;

    internal static PollInfo Create(uint fdseq, ulong flags) => new(((ulong)fdseq << FdseqShift) | flags);

    /// <summary>The word after <paramref name="set"/> was added and <paramref name="clear"/> removed; identity unchanged.</summary>
    internal PollInfo With(ulong set, ulong clear) => new((Word & ~clear) | set);

    /// <summary>The word after an event: the error bit follows the event, the sticky bits only ever rise.</summary>
    internal PollInfo AfterEvent(PollReadiness readiness)
    {
        ulong word = (readiness & PollReadiness.ErrorOnly) != 0 ? Word | EventError : Word & ~EventError;
        if ((readiness & PollReadiness.Sticky) != 0)
        {
            word |= (readiness & PollReadiness.Hangup) != 0 ? HangupSeen : 0;
            word |= (readiness & PollReadiness.Urgent) != 0 ? UrgentSeen : 0;
            word |= (readiness & PollReadiness.Gone) != 0 ? GoneSeen : 0;
        }

        return new(word);
    }

    /// <summary>What an operation in this direction must fail with; a close outranks a timeout, a timeout outranks an error.</summary>
    internal PollResult Check(PollMode mode)
    {
        if (Has(Closing))
        {
            return PollResult.Closing;
        }

        if (Has(mode == PollMode.Read ? ReadExpired : WriteExpired))
        {
            return PollResult.TimedOut;
        }

        // Only reads: a write finds out from its own system call, which has the better error.
        return mode == PollMode.Read && Has(EventError) ? PollResult.NotPollable : PollResult.Ready;
    }
}
