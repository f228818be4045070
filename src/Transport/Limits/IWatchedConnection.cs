namespace KestrelNetpoll.Transport.Limits;

/// <summary>What a <see cref="ConnectionWatch"/> looks at. Everything may be a moment old, and is asked from any thread.</summary>
internal interface IWatchedConnection
{
    /// <summary>All bytes received so far.</summary>
    long BytesReceived { get; }

    /// <summary>All bytes that the kernel took for sending so far.</summary>
    long BytesSent { get; }

    /// <summary>Does a read wait for the peer, and not only for a worker?</summary>
    bool IsReadWaiting { get; }

    /// <summary>Flushed bytes that the kernel has not taken.</summary>
    long QueuedBytes { get; }

    /// <summary>
    /// Is a thread in the middle of sending? If not, <see cref="BytesSent"/>, asked after this, counts all that the kernel took before.
    /// </summary>
    bool IsSending { get; }

    /// <summary>Bytes that the kernel has taken and the peer has not. A system call.</summary>
    int CountUnacknowledged();

    /// <summary>
    /// Are so many bytes all that has come from the peer, received or not? Neither its end nor an error may have come. A system call.
    /// </summary>
    bool HasSentOnly(long bytes);

    /// <summary>Asks the server to close the connection after what it is doing. False: nobody can be asked yet.</summary>
    bool TryRequestClose();
}
