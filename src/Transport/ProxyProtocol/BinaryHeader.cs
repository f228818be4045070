using System.Buffers;
using System.Buffers.Binary;
using System.Net;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// Version 2:
/// <code>
///   0   12 bytes   signature
///   12  1 byte     version (high half, 2) and command (low half)
///   13  1 byte     address family (high half) and transport (low half)
///   14  2 bytes    how many bytes follow
///   16             source address, destination address, source port, destination port; then TLVs
/// </code>
/// </summary>
internal static class BinaryHeader
{
    internal const int FixedLength = 16;

    private const int IPv4Length = 4;
    private const int IPv6Length = 16;
    private const int UnixLength = 108;
    private const int Version = 2;

    private enum Family
    {
        Unspecified,
        IPv4,
        IPv6,
        Unix,
    }

    private enum Transport
    {
        Unspecified,
        Stream,
        Datagram,
    }

    internal static ProxyHeader Parse(in ReadOnlySequence<byte> bytes, int maxLength)
    {
        Span<byte> space = stackalloc byte[FixedLength + (2 * UnixLength)];
        ReadOnlySpan<byte> start = space[..ProxySignature.CopyStart(bytes, space)];

        // What is wrong is said as soon as it is known.
        if (start.Length <= 12)
        {
            return ProxyHeader.Incomplete;
        }

        if (start[12] >> 4 != Version)
        {
            return ProxyHeader.Invalid("its binary header has an unknown version");
        }

        var command = (ProxyProtocolCommand)(start[12] & 0xF);
        if (command is not (ProxyProtocolCommand.Local or ProxyProtocolCommand.Proxy))
        {
            return ProxyHeader.Invalid("its binary header has an unknown command");
        }

        if (start.Length <= 13)
        {
            return ProxyHeader.Incomplete;
        }

        // The proxy's own connections have none of all this, and whatever is there instead is to be ignored.
        var family = (Family)(start[13] >> 4);
        var transport = (Transport)(start[13] & 0xF);
        if (command == ProxyProtocolCommand.Proxy && (family > Family.Unix || transport > Transport.Datagram))
        {
            return ProxyHeader.Invalid("its binary header has an unknown address family or transport");
        }

        if (start.Length < FixedLength)
        {
            return ProxyHeader.Incomplete;
        }

        int length = FixedLength + BinaryPrimitives.ReadUInt16BigEndian(start[14..]);
        int addressLength = command == ProxyProtocolCommand.Proxy ? AddressLength(family, transport) : 0;
        if (length > maxLength)
        {
            return ProxyHeader.Invalid("its binary header is too long");
        }

        if (length < FixedLength + addressLength)
        {
            return ProxyHeader.Invalid("its binary header is too short for its addresses");
        }

        if (bytes.Length < length)
        {
            return ProxyHeader.Incomplete;
        }

        if (command == ProxyProtocolCommand.Local)
        {
            return ProxyHeader.Complete(length, new ProxyProtocolFeature(Version, command));
        }

        ReadOnlySequence<byte> header = bytes.Slice(0, length);
        string? defect = ReadTlvs(header, FixedLength + addressLength, isKnownLayout: addressLength != 0, out ProxyProtocolTlvs tlvs);
        if (defect is not null)
        {
            return ProxyHeader.Invalid(defect);
        }

        ReadOnlySpan<byte> addresses = start.Slice(FixedLength, addressLength);
        (EndPoint? source, EndPoint? destination) = addressLength == 0 ? default : family switch
        {
            Family.Unix => (UnixAddress.Read(addresses[..UnixLength]), UnixAddress.Read(addresses[UnixLength..])),
            _ => ReadInternetAddresses(addresses),
        };
        return ProxyHeader.Complete(length, new ProxyProtocolFeature(Version, command, source, destination, tlvs));
    }

    // 0: the family or the transport says nothing, and so the addresses, if there are any, mean nothing.
    private static int AddressLength(Family family, Transport transport) => transport == Transport.Unspecified ? 0 : family switch
    {
        Family.IPv4 => 2 * (IPv4Length + sizeof(ushort)),
        Family.IPv6 => 2 * (IPv6Length + sizeof(ushort)),
        Family.Unix => 2 * UnixLength,
        _ => 0,
    };

    private static (EndPoint Source, EndPoint Destination) ReadInternetAddresses(ReadOnlySpan<byte> addresses)
    {
        int length = (addresses.Length / 2) - sizeof(ushort);
        ReadOnlySpan<byte> ports = addresses[(2 * length)..];
        return (
            new IPEndPoint(new IPAddress(addresses[..length]), BinaryPrimitives.ReadUInt16BigEndian(ports)),
            new IPEndPoint(new IPAddress(addresses.Slice(length, length)), BinaryPrimitives.ReadUInt16BigEndian(ports[sizeof(ushort)..])));
    }

    // Without a known layout there may be addresses in front of them, or nothing else than addresses: then they cannot be found.
    private static string? ReadTlvs(in ReadOnlySequence<byte> header, int start, bool isKnownLayout, out ProxyProtocolTlvs tlvs)
    {
        tlvs = default;
        if (header.Length == start)
        {
            return null;
        }

        byte[] bytes = header.Slice(start).ToArray();
        if (!ProxyProtocolTlvs.TryRead(bytes, out tlvs))
        {
            return isKnownLayout ? "a TLV of its binary header is cut off" : null;
        }

        return HeaderChecksum.IsRight(header, start, tlvs) ? null : "the checksum of its binary header is wrong";
    }
}
