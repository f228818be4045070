namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Whether the flushes of a connection come in bursts, so that leaving one to the next gathers them: by how quickly they follow each other, and by what
/// became of those that were left.
/// </summary>
/// <remarks>
/// <code>
///   event                                             a burst is expected
///   2 quick flushes in a row                          from then on, until a flush that follows no quick one comes late
///   4 times in a row, leaving has gathered nothing    no more; and twice as many quick flushes are needed next time, up to 128
///   leaving has gathered more than one                2 quick ones are enough again
///   256 flushes without any of the last two           half as many are enough
/// </code>
/// A connection whose last burst was one will have another: there the first flush waits, too. A client that answers quickly makes flushes follow each
/// other quickly as well, without anything to gather.
/// <para><see cref="OnFlush"/> is for the flushing thread, one at a time; the others are called under the writer's lock.</para>
/// </remarks>
internal struct BurstMeter
{
    internal const long QuickNanoseconds = 100_000;
    internal const int LeastQuickFlushes = 2;
    internal const int MostQuickFlushes = 128;
    internal const int SinglesBeforeNoBurst = 4;
    internal const int FlushesBeforeNextTry = 256;

    // The flushing thread's. _needed counts only above the least: a default value begins with 0.
    private long _lastFlush;
    private int _quickFlushes;
    private int _needed;
    private int _flushesSinceVerdict;
    private bool _isExpected;

    // Under the lock.
    private int _gathered;
    private int _singlesInARow;

    // Written under the lock, taken by the flushing thread. That one gets lost between the two only delays what would come of it.
    private volatile Verdict _verdict;

    private enum Verdict
    {
        None,
        GatheredMany,
        GatheredNothing,
    }

    /// <summary>Before each flush that might be left. True: leave it, if nothing else speaks against it.</summary>
    internal bool OnFlush(long now)
    {
        TakeVerdict();
        if (now - _lastFlush < QuickNanoseconds)
        {
            _quickFlushes++;
            _isExpected |= _quickFlushes >= Math.Max(LeastQuickFlushes, _needed);
        }
        else
        {
            _isExpected &= _quickFlushes != 0;
            _quickFlushes = 0;
        }

        _lastFlush = now;
        return _isExpected;
    }

    /// <summary>A flush has been left because of a burst.</summary>
    internal void OnLeft() => _gathered++;

    /// <summary>What was left is about to be sent, perhaps by one more flush.</summary>
    internal void OnSending(bool byFlush)
    {
        if (_gathered == 0)
        {
            return;
        }

        if (_gathered > 1 || byFlush)
        {
            _singlesInARow = 0;
            _verdict = Verdict.GatheredMany;
        }
        else if (++_singlesInARow == SinglesBeforeNoBurst)
        {
            _singlesInARow = 0;
            _verdict = Verdict.GatheredNothing;
        }

        _gathered = 0;
    }

    private void TakeVerdict()
    {
        Verdict verdict = _verdict;
        if (verdict == Verdict.None)
        {
            if (++_flushesSinceVerdict == FlushesBeforeNextTry)
            {
                _flushesSinceVerdict = 0;
                _needed /= 2;
            }

            return;
        }

        _verdict = Verdict.None;
        _flushesSinceVerdict = 0;
        if (verdict == Verdict.GatheredMany)
        {
            _needed = 0;
        }
        else
        {
            _isExpected = false;
            _quickFlushes = 0;
            _needed = Math.Min(MostQuickFlushes, Math.Max(LeastQuickFlushes, _needed) * 2);
        }
    }
}
