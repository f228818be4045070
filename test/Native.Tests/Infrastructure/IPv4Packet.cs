using System.Buffers.Binary;
using System.Net;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Makes and reads the few IPv4 packets that the tun tests send.</summary>
internal static class IPv4Packet
{
    internal const byte Icmp = 1;
    internal const byte Udp = 17;
    internal const byte EchoRequest = 8;
    internal const byte EchoReply = 0;

    private const int HeaderLength = 20;
    private const int UdpHeaderLength = 8;

    internal static byte[] CreateEchoRequest(IPAddress source, IPAddress destination, ushort sequence)
    {
        byte[] message = new byte[16];
        message[0] = EchoRequest;
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(6), sequence);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), Checksum(message));
        return Create(Icmp, source, destination, message);
    }

    /// <summary>Without a UDP checksum, which IPv4 allows.</summary>
    internal static byte[] CreateUdp(IPEndPoint source, IPEndPoint destination, ReadOnlySpan<byte> payload)
    {
        byte[] message = new byte[UdpHeaderLength + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(message, (ushort)source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), (ushort)destination.Port);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), (ushort)message.Length);
        payload.CopyTo(message.AsSpan(UdpHeaderLength));
        return Create(Udp, source.Address, destination.Address, message);
    }

    /// <summary>Is it an IPv4 packet of this protocol? Interfaces that come up also say things in IPv6.</summary>
    internal static bool Is(ReadOnlySpan<byte> packet, byte protocol) =>
        packet.Length > HeaderLength && packet[0] >> 4 == 4 && packet[9] == protocol;

    internal static byte TimeToLive(ReadOnlySpan<byte> packet) => packet[8];

    internal static IPAddress Source(ReadOnlySpan<byte> packet) => new(packet.Slice(12, 4));

    internal static IPAddress Destination(ReadOnlySpan<byte> packet) => new(packet.Slice(16, 4));

    internal static byte IcmpType(ReadOnlySpan<byte> packet) => packet[HeaderLength];

    internal static ushort IcmpSequence(ReadOnlySpan<byte> packet) => BinaryPrimitives.ReadUInt16BigEndian(packet[(HeaderLength + 6)..]);

    internal static int UdpSourcePort(ReadOnlySpan<byte> packet) => BinaryPrimitives.ReadUInt16BigEndian(packet[HeaderLength..]);

    internal static ReadOnlySpan<byte> UdpPayload(ReadOnlySpan<byte> packet) => packet[(HeaderLength + UdpHeaderLength)..];

    private static byte[] Create(byte protocol, IPAddress source, IPAddress destination, ReadOnlySpan<byte> message)
    {
        byte[] packet = new byte[HeaderLength + message.Length];
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        packet[8] = 64;
        packet[9] = protocol;
        source.TryWriteBytes(packet.AsSpan(12), out _);
        destination.TryWriteBytes(packet.AsSpan(16), out _);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Checksum(packet.AsSpan(0, HeaderLength)));
        message.CopyTo(packet.AsSpan(HeaderLength));
        return packet;
    }

    private static ushort Checksum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (int i = 0; i + 1 < bytes.Length; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes[i..]);
        }

        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)~sum;
    }
}
