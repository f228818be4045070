namespace KestrelNetpoll.Transport;

/// <summary>Why a proxy has opened a connection.</summary>
public enum ProxyProtocolCommand
{
    /// <summary>For itself, to see whether the server is well.</summary>
    Local = 0,

    /// <summary>For a client.</summary>
    Proxy = 1,
}
