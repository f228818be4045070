using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Makes headers, right ones and wrong ones, with no code of the transport.</summary>
internal static class HeaderBytes
{
    internal const byte Proxy = 0x21;
    internal const byte Local = 0x20;
    internal const byte Tcp4 = 0x11;
    internal const byte Tcp6 = 0x21;
    internal const byte UnixStream = 0x31;
    internal const byte ChecksumType = 0x03;

    internal static readonly byte[] Signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    internal static byte[] Text(string line) => Encoding.Latin1.GetBytes(line + "\r\n");

    internal static byte[] Binary(byte versionAndCommand, byte familyAndTransport, params byte[][] block)
    {
        byte[] rest = [.. block.SelectMany(static part => part)];
        return [.. Signature, versionAndCommand, familyAndTransport, (byte)(rest.Length >> 8), (byte)rest.Length, .. rest];
    }

    internal static byte[] Binary(string source, string destination, params byte[][] tlvs)
    {
        byte[] addresses = Addresses(source, destination);
        return Binary(Proxy, addresses.Length == 12 ? Tcp4 : Tcp6, [addresses, .. tlvs]);
    }

    internal static byte[] Addresses(string source, string destination)
    {
        IPEndPoint from = IPEndPoint.Parse(source);
        IPEndPoint to = IPEndPoint.Parse(destination);
        return
        [
            .. from.Address.GetAddressBytes(), .. to.Address.GetAddressBytes(),
            (byte)(from.Port >> 8), (byte)from.Port, (byte)(to.Port >> 8), (byte)to.Port,
        ];
    }

    internal static byte[] UnixAddress(string path)
    {
        byte[] bytes = new byte[108];
        Encoding.UTF8.GetBytes(path, bytes);
        return bytes;
    }

    internal static byte[] Tlv(byte type, params byte[] value) => [type, (byte)(value.Length >> 8), (byte)value.Length, .. value];

    /// <summary>A binary header with a right checksum behind everything else.</summary>
    internal static byte[] WithChecksum(byte[] header)
    {
        byte[] result = [.. header, .. Tlv(ChecksumType, 0, 0, 0, 0)];
        BinaryPrimitives.WriteUInt16BigEndian(result.AsSpan(14), (ushort)(result.Length - 16));
        BinaryPrimitives.WriteUInt32BigEndian(result.AsSpan(result.Length - 4), Crc32C(result));
        return result;
    }

    // Bit by bit, as the standard has it.
    internal static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
            }
        }

        return ~crc;
    }

    /// <summary>The same bytes in segments of a size.</summary>
    internal static ReadOnlySequence<byte> InSegments(byte[] bytes, int size)
    {
        Segment? first = null;
        Segment? last = null;
        for (int start = 0; start < bytes.Length; start += size)
        {
            last = new Segment(bytes.AsMemory(start, Math.Min(size, bytes.Length - start)), last);
            first ??= last;
        }

        return first is null ? default : new ReadOnlySequence<byte>(first, 0, last!, last!.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        internal Segment(ReadOnlyMemory<byte> memory, Segment? previous)
        {
            Memory = memory;
            if (previous is not null)
            {
                RunningIndex = previous.RunningIndex + previous.Memory.Length;
                previous.Next = this;
            }
        }
    }
}
