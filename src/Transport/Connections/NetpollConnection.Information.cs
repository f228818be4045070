using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>What the kernel knows of the peer, asked when somebody wants to know.</summary>
internal sealed partial class NetpollConnection : IUnixPeerCredentialsFeature, ITcpInfoFeature
{
    private const uint NotMeasured = uint.MaxValue;

    // A UnixPeerCredentials, once it has been asked for: it does not change, and outlives the socket.
    private object? _peerCredentials;

    UnixPeerCredentials? IUnixPeerCredentialsFeature.GetPeerCredentials()
    {
        if (Volatile.Read(ref _peerCredentials) is UnixPeerCredentials known)
        {
            return known;
        }

        if (!_socket.TryGetPeerCredentials(out ucred credentials))
        {
            return null;
        }

        var result = new UnixPeerCredentials(credentials.pid, credentials.uid, credentials.gid);
        Volatile.Write(ref _peerCredentials, result);
        return result;
    }

    TcpInfo? ITcpInfoFeature.GetTcpInfo()
    {
        Span<byte> buffer = stackalloc byte[TcpMeasurements.Length];
        int length = _socket.ReadTcpInfo(buffer);
        return length == 0 ? null : ToTcpInfo(new TcpMeasurements(buffer[..length]));
    }

    internal static TcpInfo ToTcpInfo(TcpMeasurements measured) => new()
    {
        RoundTripTime = ToTime(measured.ReadUInt32(TcpMeasurements.RttOffset)) ?? default,
        RoundTripTimeVariation = ToTime(measured.ReadUInt32(TcpMeasurements.RttvarOffset)) ?? default,
        MinRoundTripTime = ToTime(measured.ReadUInt32(TcpMeasurements.MinRttOffset)),
        Retransmits = measured.ReadUInt32(TcpMeasurements.TotalRetransOffset) ?? 0,
        UnacknowledgedSegments = measured.ReadUInt32(TcpMeasurements.UnackedOffset) ?? 0,
        LostSegments = measured.ReadUInt32(TcpMeasurements.LostOffset) ?? 0,
        CongestionWindow = measured.ReadUInt32(TcpMeasurements.SndCwndOffset) ?? 0,
        SegmentSize = (int)(measured.ReadUInt32(TcpMeasurements.SndMssOffset) ?? 0),
        DeliveryRate = (long?)measured.ReadUInt64(TcpMeasurements.DeliveryRateOffset),
        BytesAcknowledged = (long?)measured.ReadUInt64(TcpMeasurements.BytesAckedOffset),
        UnsentBytes = measured.ReadUInt32(TcpMeasurements.NotsentBytesOffset),
        BytesRetransmitted = (long?)measured.ReadUInt64(TcpMeasurements.BytesRetransOffset),
    };

    private static TimeSpan? ToTime(uint? microseconds) =>
        microseconds is { } given and not NotMeasured ? TimeSpan.FromMicroseconds(given) : null;
}
