using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// What the two halves of a connection's duplex pipe tell the connection, and ask it.
/// </summary>
/// <remarks>
/// Every member may be called from any thread, also concurrently. The caller may be a worker in the middle of a turn or an application
/// thread in the middle of a flush: an implementation must neither block nor run application code before it returns. No lock of the reader
/// or the writer is held meanwhile, except while <see cref="AbortReason"/> is read, which therefore must not take one.
/// </remarks>
internal interface ISocketPipeOwner
{
    /// <summary>The connection's id, for log entries.</summary>
    string ConnectionId { get; }

    /// <summary>Where the pipe halves log to.</summary>
    ILogger Logger { get; }

    /// <summary>
    /// Do turns that answer a read belong on the thread pool, if that is learned (<see cref="Placement.Learned"/>)? Any
    /// thread; may be a moment old, so that a turn runs in the other place once more.
    /// </summary>
    bool PrefersThreadPool { get; }

    /// <summary>
    /// Why the connection was aborted; null while it was not. Set before the descriptor is closed, because it outranks the socket
    /// errors that the close causes.
    /// </summary>
    Exception? AbortReason { get; }

    /// <summary>
    /// The peer ended its side: with a FIN (<paramref name="error"/> is null) or with the error that reads now report. Called at most
    /// once, after the reader is able to deliver the end. Not called for an end that the connection itself caused.
    /// </summary>
    void OnInputEnded(Exception? error);

    /// <summary>
    /// Sending failed, and nothing more will be sent. Called at most once, and not for a close by the connection itself, unless the peer
    /// has reset it.
    /// </summary>
    void OnOutputFailed(Exception error);

    /// <summary>The application completed its output without an error, and the kernel has taken all of it. Called at most once.</summary>
    void OnOutputEnded();

    /// <summary>The application completed its output with an error. Called at most once.</summary>
    void OnOutputBroken(Exception error);

    /// <summary>
    /// What the writer's FlushBeforeEnd or FlushBeforeClose has asked for in vain: after the former, everything is sent, or never will be,
    /// or the peer has had its time; after the latter, the thread that was sending has stopped.
    /// </summary>
    /// <param name="mayClose">Is it the latter, or both?</param>
    void OnSendingStopped(bool mayClose);

    /// <summary>
    /// The write deadline has passed while somebody waits for the peer, or somebody begins to flush after it has: the connection has to
    /// end. May be called again.
    /// </summary>
    void OnWriteDeadlinePassed();

    /// <summary>Something threw that must not, for example the memory pool. The connection has to end.</summary>
    void OnUnexpectedException(Exception exception);
}
