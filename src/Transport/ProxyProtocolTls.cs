namespace KestrelNetpoll.Transport;

/// <summary>How a client has used TLS towards the proxy.</summary>
/// <param name="Client">Whether it did, and whether it has shown a certificate.</param>
/// <param name="VerifyResult">
/// 0 if the client's certificate has been verified; otherwise the proxy's code for why not, or that there is none.
/// </param>
/// <param name="Details">Version, cipher, names and algorithms, as far as the proxy sends them.</param>
public readonly record struct ProxyProtocolTls(ProxyProtocolTlsClient Client, uint VerifyResult, ProxyProtocolTlvs Details);
