namespace KestrelNetpoll.Transport.Limits;

/// <summary>What a <see cref="ConnectionWatch"/> looks at. Everything may be a moment old, and is asked from any thread.</summary>
internal interface IWatchedConnection
{
    /// <summary>All bytes received so far.</summary>
    long BytesReceived { get; }

    /// <summary>All bytes that the kernel took for sending so far.</summary>
    long BytesSent { get; }

    /// <summary>Does a read wait for bytes?</summary>
    bool IsReadWaiting { get; }

    /// <summary>Flushed bytes that the kernel has not taken.</summary>
    long QueuedBytes { get; }

    /// <summary>Bytes that the kernel has taken and the peer has not. A system call.</summary>
    int CountUnacknowledged();

    /// <summary>Are there bytes, or is there the end, in the kernel, that nobody has received yet? A system call.</summary>
    bool HasUnreceivedInput();

    /// <summary>Asks the server to close the connection after what it is doing. False: nobody can be asked yet.</summary>
    bool TryRequestClose();
}
