using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>What the kernel knows of the peer, asked when somebody wants to know.</summary>
internal sealed partial class NetpollConnection : IUnixPeerCredentialsFeature, ITcpInfoFeature
{
    // A UnixPeerCredentials, once it has been asked for: it does not change, and outlives the socket.
    private object? _peerCredentials;

    UnixPeerCredentials? IUnixPeerCredentialsFeature.GetPeerCredentials()
    {
        if (Volatile.Read(ref _peerCredentials) is UnixPeerCredentials known)
        {
            return known;
        }

        UnixPeerCredentials? credentials = UnixPeerCredentials.From(_socket.GetPeerCredentials());
        if (credentials is { } asked)
        {
            Volatile.Write(ref _peerCredentials, asked);
        }

        return credentials;
    }

    TcpInfo? ITcpInfoFeature.GetTcpInfo() => _socket.GetMeasurements() is { } measured ? ToTcpInfo(measured) : null;

    internal static TcpInfo ToTcpInfo(in TcpMeasurements measured) => new()
    {
        RoundTripTime = ToTime(measured.RoundTripTime) ?? default,
        RoundTripTimeVariation = ToTime(measured.RoundTripTimeVariation) ?? default,
        MinRoundTripTime = ToTime(measured.MinRoundTripTime),
        Retransmits = measured.Retransmits ?? 0,
        UnacknowledgedSegments = measured.UnacknowledgedSegments ?? 0,
        LostSegments = measured.LostSegments ?? 0,
        CongestionWindow = measured.CongestionWindow ?? 0,
        SegmentSize = (int)(measured.SegmentSize ?? 0),
        DeliveryRate = (long?)measured.DeliveryRate,
        BytesAcknowledged = (long?)measured.AcknowledgedBytes,
        UnsentBytes = measured.UnsentBytes,
        BytesRetransmitted = (long?)measured.RetransmittedBytes,
    };

    private static TimeSpan? ToTime(uint? microseconds) =>
        microseconds is { } given ? TimeSpan.FromMicroseconds(given) : null;
}
