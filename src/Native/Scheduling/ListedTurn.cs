namespace KestrelNetpoll.Native.Scheduling;

/// <summary>A turn that stands in one <see cref="TurnList{T}"/> at most.</summary>
/// <typeparam name="TSelf">What the list holds: the class that derives from this one.</typeparam>
internal abstract class ListedTurn<TSelf> : Turn
    where TSelf : ListedTurn<TSelf>
{
    // 1 while it is in a list, or about to be. Interlocked.
    private int _isListed;

    /// <summary>The next entry of the list. For the one who has it: who pushes, or who has taken it off.</summary>
    internal TSelf? Next { get; set; }

    /// <summary>True: it was in no list, and the caller, nobody else, pushes it into one. A full fence.</summary>
    internal bool TryList() => Interlocked.Exchange(ref _isListed, 1) == 0;

    /// <summary>By the one who has taken it off its list, before it is looked at. A full fence: what comes from now on lists it
    /// again.</summary>
    internal void Unlist() => Interlocked.Exchange(ref _isListed, 0);
}
