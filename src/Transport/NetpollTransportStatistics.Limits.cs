namespace KestrelNetpoll.Transport;

/// <content>How often connections have reached the limits of the options.</content>
public readonly partial record struct NetpollTransportStatistics
{
    /// <summary>Gets how many connections were closed for <see cref="NetpollEndpointOptions.FirstByteTimeout"/>.</summary>
    public long FirstByteTimeouts { get; init; }

    /// <summary>Gets how many connections were closed for <see cref="NetpollEndpointOptions.ReadIdleTimeout"/>.</summary>
    public long ReadIdleTimeouts { get; init; }

    /// <summary>Gets how many connections were closed for <see cref="NetpollEndpointOptions.WriteStallTimeout"/>.</summary>
    public long WriteStallTimeouts { get; init; }

    /// <summary>Gets how many connections Kestrel was asked to close for <see cref="NetpollEndpointOptions.MaxConnectionAge"/>.</summary>
    public long MaxConnectionAgesReached { get; init; }

    /// <summary>
    /// Gets how many connections <see cref="NetpollEndpointOptions.OnAccept"/> did not accept, those at which it threw included. They do
    /// not count as accepted.
    /// </summary>
    public long RefusedConnections { get; init; }

    /// <summary>
    /// Gets how many connections were refused for <see cref="NetpollEndpointOptions.MaxConnectionsPerAddress"/>. They do not count as
    /// accepted.
    /// </summary>
    public long ConnectionsOverAddressLimit { get; init; }
}
