using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>
/// Learns where a connection's reads are best answered. A handler that works for a while, then awaits something, and goes on on the thread
/// pool, leaves the memory that it has just used in the caches of another core: such a connection is cheaper to read on the pool from the
/// beginning. One whose handlers end in their turn is not, nor is one whose handlers await at once.
/// </summary>
/// <remarks>
/// <code>
///   request                                                             votes for the pool
///   -----------------------------------------------------------------   ------------------------------------------------------------
///   ended in its turn                                                   on workers none any more; on the pool two less
///   left its turn, as did the four before, and that took 14 µs or more  one more
///   the same, sooner                                                    one less
///   its turn took a millisecond or more                                 on workers as many: the kernel may have stopped the thread in
///                                                                       between; on the pool, whose threads are not to block, two less
///   its turn took 10 ms or more                                         -8, and on workers
///   its turn has lost its processor because it blocked                  -64, and on workers
/// </code>
/// With 8 votes the turns move to the pool, and begin there with 16, the most there can be. Without any they move back. Votes below none
/// come only from what has blocked, or may have.
/// <para>A request ends when a read waits: Kestrel's for the next one. Written by who begins such a read, and by turns, which may overlap:
/// then a vote is lost, or one too many is counted. What counts the requests that have left is only written by who reads.</para>
/// </remarks>
internal struct PlaceMeter
{
    internal const int LeavesBeforeMeasuring = 4;
    internal const int VotesToMove = 8;
    internal const int MostVotes = 16;
    internal const int VotesOfLong = -8;
    internal const int VotesOfBlocked = -64;

    /// <summary>Nanoseconds. A hop to the pool takes some 5 µs; handlers that await at once take as long, those that open a file or call
    /// another server before they do so take 20 and more.</summary>
    internal const long WorkNanoseconds = 14_000;

    internal const long StoppedNanoseconds = 1 * MonotonicClock.NanosecondsPerMillisecond;
    internal const long LongNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    private byte _leaves;
    private sbyte _votes;
    private bool _prefersThreadPool;

    // The request whose turn runs has ended in it.
    private bool _endedInTurn;

    /// <summary>Do the turns belong on the thread pool? Any thread; may be a moment old.</summary>
    internal readonly bool PrefersThreadPool => Volatile.Read(in _prefersThreadPool);

    /// <summary>A turn begins.</summary>
    /// <returns>Is it to be measured? Others pay nothing.</returns>
    internal bool OnTurnBegins()
    {
        _endedInTurn = false;
        return _leaves == LeavesBeforeMeasuring;
    }

    /// <summary>A read waits: the request before it has ended.</summary>
    /// <param name="inTurn">On the thread that is still inside the turn in which it began.</param>
    internal void OnReadWaits(bool inTurn)
    {
        if (!inTurn)
        {
            _leaves += _leaves < LeavesBeforeMeasuring ? (byte)1 : (byte)0;
            return;
        }

        _endedInTurn = true;
        if (_prefersThreadPool)
        {
            Vote(-2);
        }
        else if (_leaves != 0)
        {
            _leaves = 0;
            _votes = Math.Min(_votes, (sbyte)0);
        }
    }

    /// <summary>A turn that was to be measured has ended.</summary>
    /// <param name="nanoseconds">So long did it take.</param>
    /// <param name="hasBlocked">The monitor has found it blocked.</param>
    internal void OnTurnEnded(long nanoseconds, bool hasBlocked)
    {
        if (hasBlocked || nanoseconds >= LongNanoseconds)
        {
            _prefersThreadPool = false;
            _votes = hasBlocked ? (sbyte)VotesOfBlocked : Math.Min(_votes, (sbyte)VotesOfLong);
        }
        else if (nanoseconds >= StoppedNanoseconds)
        {
            Vote(_prefersThreadPool ? -2 : 0);
        }
        else if (!_endedInTurn)
        {
            Vote(nanoseconds >= WorkNanoseconds ? 1 : -1);
        }
    }

    private void Vote(int votes)
    {
        int sum = Math.Clamp(_votes + votes, Math.Min(_votes, (sbyte)0), MostVotes);
        if (_prefersThreadPool)
        {
            _prefersThreadPool = sum > 0;
        }
        else if (sum >= VotesToMove)
        {
            _prefersThreadPool = true;
            sum = MostVotes;
        }

        _votes = (sbyte)sum;
    }
}
