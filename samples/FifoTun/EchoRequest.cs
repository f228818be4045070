using System.Buffers.Binary;
using System.Net;

namespace FifoTun;

/// <summary>A ping, as it is in an IPv4 packet.</summary>
internal static class EchoRequest
{
    private const int MinimumHeader = 20;
    private const int IcmpHeader = 8;
    private const byte Icmp = 1;
    private const byte Request = 8;
    private const byte Reply = 0;

    // Of the word with the fragment's place: more to come, or not the first.
    private const int IsFragment = 0x3FFF;

    /// <summary>Makes an answer of it, in its place.</summary>
    /// <returns>What was done, in words; null: the packet is no ping, and is as it was.</returns>
    internal static string? TryAnswer(Span<byte> packet)
    {
        if (packet.Length < MinimumHeader || packet[0] >> 4 != 4 || packet[9] != Icmp
            || (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & IsFragment) != 0)
        {
            return null;
        }

        int header = (packet[0] & 0xF) * 4;
        if (header < MinimumHeader || packet.Length < header + IcmpHeader || packet[header] != Request)
        {
            return null;
        }

        var source = new IPAddress(packet[12..16]);
        var destination = new IPAddress(packet[16..20]);

        // A sum does not mind that addresses change places.
        source.TryWriteBytes(packet[16..], out _);
        destination.TryWriteBytes(packet[12..], out _);
        packet[header] = Reply;
        UpdateChecksum(packet[(header + 2)..]);
        int number = BinaryPrimitives.ReadUInt16BigEndian(packet[(header + 6)..]);
        return $"{source} has asked {destination}: ping {number}, {packet.Length} bytes";
    }

    // It is the complement of the sum, in which 8 has become 0; what is carried comes back at the other end.
    private static void UpdateChecksum(Span<byte> checksum)
    {
        int sum = BinaryPrimitives.ReadUInt16BigEndian(checksum) + (Request << 8);
        BinaryPrimitives.WriteUInt16BigEndian(checksum, (ushort)(sum + (sum >> 16)));
    }
}
