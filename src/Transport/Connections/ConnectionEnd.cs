namespace KestrelNetpoll.Transport.Connections;

/// <summary>Why a connection ends: what came first.</summary>
internal enum ConnectionEnd : byte
{
    /// <summary>It goes on, or this side closes it when all has been done.</summary>
    None,

    /// <summary>The peer has finished sending.</summary>
    PeerFinished,

    /// <summary>The peer has sent a RST.</summary>
    PeerReset,

    /// <summary>The kernel reports another error.</summary>
    SocketError,

    /// <summary>The server, or the application, has ended it without a reason.</summary>
    Closed,

    /// <summary>The server, or the application, has ended it with a reason.</summary>
    Aborted,

    /// <summary>The write deadline that the application has set.</summary>
    WriteDeadline,

    /// <summary>A limit of the options; so are those below.</summary>
    FirstByteTimeout,
    ReadIdleTimeout,
    WriteStallTimeout,
    MaxConnectionAge,
}
