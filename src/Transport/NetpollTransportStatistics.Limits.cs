namespace KestrelNetpoll.Transport;

/// <content>How often connections have reached the limits of the options.</content>
public readonly partial record struct NetpollTransportStatistics
{
    /// <summary>Gets how many connections were closed for <see cref="NetpollTransportOptions.FirstByteTimeout"/>.</summary>
    public long FirstByteTimeouts { get; init; }

    /// <summary>Gets how many connections were closed for <see cref="NetpollTransportOptions.ReadIdleTimeout"/>.</summary>
    public long ReadIdleTimeouts { get; init; }

    /// <summary>Gets how many connections were closed for <see cref="NetpollTransportOptions.WriteStallTimeout"/>.</summary>
    public long WriteStallTimeouts { get; init; }

    /// <summary>Gets how many connections Kestrel was asked to close for <see cref="NetpollTransportOptions.MaxConnectionAge"/>.</summary>
    public long MaxConnectionAgesReached { get; init; }

    /// <summary>
    /// Gets how many connections <see cref="NetpollTransportOptions.OnAccept"/> did not accept, those at which it threw included. They do
    /// not count as accepted.
    /// </summary>
    public long RefusedConnections { get; init; }

    /// <summary>
    /// Gets how many connections were refused for <see cref="NetpollTransportOptions.MaxConnectionsPerAddress"/>. They do not count as
    /// accepted.
    /// </summary>
    public long ConnectionsOverAddressLimit { get; init; }
}
