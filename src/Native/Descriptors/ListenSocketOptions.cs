namespace KestrelNetpoll.Native.Descriptors;

/// <summary>How a <see cref="ListenSocket"/> listens.</summary>
internal sealed class ListenSocketOptions
{
    /// <summary>Connections that the kernel may hold for us before they are accepted. The kernel caps it at somaxconn.</summary>
    internal required int Backlog { get; init; }

    /// <summary>
    /// Send small segments at once. Set on the listener: Linux hands it on to accepted sockets, which saves a call for each.
    /// </summary>
    internal bool NoDelay { get; init; } = true;
}
