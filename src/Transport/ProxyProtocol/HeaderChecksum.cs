using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>CRC-32C over a whole binary header, with zeros in the place where it is itself.</summary>
internal static class HeaderChecksum
{
    private const int TlvHeadLength = 3;

    /// <summary>True also if there is none. More than one, or one of another length, cannot be right.</summary>
    internal static bool IsRight(in ReadOnlySequence<byte> header, int tlvStart, ProxyProtocolTlvs tlvs)
    {
        int position = tlvStart;
        int checksumAt = -1;
        foreach (ProxyProtocolTlv tlv in tlvs)
        {
            position += TlvHeadLength;
            if (tlv.Type == ProxyProtocolTlvType.Checksum)
            {
                if (checksumAt >= 0 || tlv.Value.Length != sizeof(uint))
                {
                    return false;
                }

                checksumAt = position;
            }

            position += tlv.Value.Length;
        }

        return checksumAt < 0 || Read(header, checksumAt) == Compute(header, checksumAt);
    }

    private static uint Read(in ReadOnlySequence<byte> header, int at)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        header.Slice(at, sizeof(uint)).CopyTo(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    private static uint Compute(in ReadOnlySequence<byte> header, int checksumAt)
    {
        uint crc = Append(uint.MaxValue, header.Slice(0, checksumAt));
        crc = BitOperations.Crc32C(crc, 0u);
        return ~Append(crc, header.Slice(checksumAt + sizeof(uint)));
    }

    private static uint Append(uint crc, in ReadOnlySequence<byte> bytes)
    {
        foreach (ReadOnlyMemory<byte> segment in bytes)
        {
            ReadOnlySpan<byte> rest = segment.Span;
            for (; rest.Length >= sizeof(ulong); rest = rest[sizeof(ulong)..])
            {
                crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(rest));
            }

            foreach (byte b in rest)
            {
                crc = BitOperations.Crc32C(crc, b);
            }
        }

        return crc;
    }
}
