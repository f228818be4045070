namespace KestrelNetpoll.Transport.Pipes;

/// <summary>What the writing half of a connection asks the reading one, and tells it. Any thread.</summary>
internal interface IReadingHalf
{
    /// <summary>Is the calling thread in the middle of a turn in which a read has been answered?</summary>
    bool IsTurnOfCurrentThread { get; }

    /// <summary>A turn in which a flush was answered has ended, and no longer counts as running.</summary>
    void OnTurnEnded();
}
