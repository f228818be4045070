using System.Net;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>A header that has been read, and the ends of the socket that it came through.</summary>
internal sealed class ProxyProtocolFeature(
    int version, ProxyProtocolCommand command, EndPoint? source = null, EndPoint? destination = null, ProxyProtocolTlvs tlvs = default)
    : IProxyProtocolFeature
{
    public int Version => version;

    public ProxyProtocolCommand Command => command;

    public EndPoint? SourceEndPoint => source;

    public EndPoint? DestinationEndPoint => destination;

    // Set before anybody else sees the feature.
    public EndPoint? SocketRemoteEndPoint { get; internal set; }

    public EndPoint? SocketLocalEndPoint { get; internal set; }

    public ProxyProtocolTlvs Tlvs => tlvs;
}
