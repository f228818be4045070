namespace KestrelNetpoll.Transport;

/// <summary>
/// The registered types of what a binary PROXY protocol header may say. Any other byte may occur; 0xE0 to 0xEF are for applications, as
/// in <c>(ProxyProtocolTlvType)0xEA</c>.
/// </summary>
public enum ProxyProtocolTlvType : byte
{
    /// <summary>Not registered.</summary>
    None = 0,

    /// <summary>The protocol that client and proxy have agreed on, as in ALPN: <c>h2</c>.</summary>
    Alpn = 0x01,

    /// <summary>The host name that the client wants, in UTF-8; with TLS that of SNI.</summary>
    Authority = 0x02,

    /// <summary>CRC-32C of the header; verified.</summary>
    Checksum = 0x03,

    /// <summary>Padding.</summary>
    NoOperation = 0x04,

    /// <summary>Up to 128 bytes that name the connection across several proxies.</summary>
    UniqueId = 0x05,

    /// <summary>How the client uses TLS; see <see cref="ProxyProtocolTlvs.TryGetTls"/>.</summary>
    Tls = 0x20,

    /// <summary>Within <see cref="Tls"/>: the version, as <c>TLSv1.3</c>.</summary>
    TlsVersion = 0x21,

    /// <summary>Within <see cref="Tls"/>: the common name of the client's certificate, in UTF-8.</summary>
    TlsCommonName = 0x22,

    /// <summary>Within <see cref="Tls"/>: the cipher.</summary>
    TlsCipher = 0x23,

    /// <summary>Within <see cref="Tls"/>: the algorithm that signed the proxy's certificate.</summary>
    TlsSignatureAlgorithm = 0x24,

    /// <summary>Within <see cref="Tls"/>: the algorithm of the key of the proxy's certificate.</summary>
    TlsKeyAlgorithm = 0x25,

    /// <summary>The name of the network namespace, in ASCII.</summary>
    NetworkNamespace = 0x30,
}
