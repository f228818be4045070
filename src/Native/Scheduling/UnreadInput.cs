namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Input of a connection that waits while nobody reads: looked at some milliseconds later, and read ahead if it still waits. So much is
/// asked about few connections only. Also the turn that runs when the peer hangs up.
/// </summary>
/// <remarks>
/// <code>
///   unlisted → listed     an event finds no reader that waits, or a reader stops early: any thread, one of them
///   listed → unlisted     the group's look takes all entries; what it then finds, it finds after that, so that no mark is lost
///   unlisted → listed     the look wants another one
/// </code>
/// </remarks>
internal abstract class UnreadInput : ListedTurn<UnreadInput>
{
    /// <summary>
    /// Input has been waiting, as far as one can tell from outside. In a turn of a worker that looks at others as well: no I/O, no foreign
    /// code.
    /// </summary>
    /// <returns>Whether to look again, as long after this as this is after the mark.</returns>
    internal abstract bool LookAgain();
}
