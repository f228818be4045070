namespace KestrelNetpoll.Transport;

/// <summary>What a client has done about TLS towards the proxy.</summary>
[Flags]
public enum ProxyProtocolTlsClient : byte
{
    /// <summary>No TLS.</summary>
    None = 0,

    /// <summary>It uses TLS.</summary>
    Tls = 1,

    /// <summary>It has shown a certificate on this connection.</summary>
    CertificateOnConnection = 2,

    /// <summary>It has shown a certificate at least once in this TLS session.</summary>
    CertificateInSession = 4,
}
