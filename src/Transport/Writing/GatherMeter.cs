namespace KestrelNetpoll.Transport.Writing;

/// <summary>
/// Whether it pays to hold a flush that comes from outside of turns: whether another one will follow within 0.1 ms, to leave with it.
/// Guarded by the writer's lock.
/// </summary>
/// <remarks>
/// <code>
///   event                                           the next flush is held
///   a flush follows another one quickly             yes, if as many have done so as are needed: 1 at first
///   a flush comes late, and so did the one before   no: it gathers nothing
///   holding has gathered more than one flush        as before; 1 quick one is enough again
///   4 times in a row it has gathered nothing        no; twice as many quick ones are needed next time, up to 128
///   256 flushes without any of the last two         as before; half as many are enough
/// </code>
/// The first flush of a response comes late, and is held because the one before it was quick: the end of the last response.
/// </remarks>
internal struct GatherMeter
{
    internal const long QuickNanoseconds = 100_000;
    internal const int MostQuickFlushes = 128;
    internal const int SinglesBeforeNo = 4;
    internal const int FlushesBeforeNextTry = 256;

    private long _lastFlush;
    private bool _lastWasQuick;
    private bool _expects;

    // Quick flushes since it last expected one, and how many beyond the first it takes: a default value begins with 0.
    private int _quickFlushes;
    private int _neededBeyondFirst;
    private int _flushesSinceVerdict;
    private int _gathered;
    private int _singlesInARow;

    /// <summary>Before each flush. True: hold it, if nothing else speaks against it.</summary>
    internal bool OnFlush(long now)
    {
        bool quick = now - _lastFlush < QuickNanoseconds;
        _expects = quick
            ? _expects || _quickFlushes++ >= _neededBeyondFirst
            : _expects && _lastWasQuick;
        _lastFlush = now;
        _lastWasQuick = quick;
        if (++_flushesSinceVerdict == FlushesBeforeNextTry)
        {
            _flushesSinceVerdict = 0;
            _neededBeyondFirst /= 2;
        }

        return _expects;
    }

    /// <summary>A flush is held.</summary>
    internal void OnHeld() => _gathered++;

    /// <summary>What was held is about to be sent, perhaps with one more flush.</summary>
    internal void OnSending(bool byFlush)
    {
        if (_gathered == 0)
        {
            return;
        }

        if (_gathered > 1 || byFlush)
        {
            _singlesInARow = 0;
            _flushesSinceVerdict = 0;
            _neededBeyondFirst = 0;
        }
        else if (++_singlesInARow == SinglesBeforeNo)
        {
            _singlesInARow = 0;
            _flushesSinceVerdict = 0;
            _expects = false;
            _quickFlushes = 0;
            _neededBeyondFirst = Math.Min(MostQuickFlushes - 1, (_neededBeyondFirst * 2) + 1);
        }

        _gathered = 0;
    }
}
