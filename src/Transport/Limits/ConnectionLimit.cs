namespace KestrelNetpoll.Transport.Limits;

/// <summary>What a connection has reached.</summary>
internal enum ConnectionLimit
{
    None,
    FirstByteTimeout,
    ReadIdleTimeout,
    WriteStallTimeout,
    MaxConnectionAge,
}
