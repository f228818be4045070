using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// Version 1: one line, such as <c>PROXY TCP4 192.0.2.1 192.0.2.2 56324 443</c>. Nothing of it is decoded before its end has come.
/// Nothing is tolerated that the specification does not allow, but for the dotted end of an IPv6 address, which proxies do write.
/// </summary>
internal static class TextHeader
{
    /// <summary>With the end of the line.</summary>
    internal const int MaxLength = 107;

    private const int MaxAddressLength = 45;
    private const int MaxPortLength = 5;
    private const int Version = 1;

    private static readonly SearchValues<byte> AddressCharacters = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    internal static ProxyHeader Parse(in ReadOnlySequence<byte> bytes)
    {
        Span<byte> space = stackalloc byte[MaxLength];
        ReadOnlySpan<byte> line = space[..ProxySignature.CopyStart(bytes, space)];
        int end = line.IndexOfAny((byte)'\r', (byte)'\n');
        if (end < 0)
        {
            return line.Length < MaxLength ? ProxyHeader.Incomplete : ProxyHeader.Invalid("its text header is too long");
        }

        if (line[end] == '\n' || (end + 1 < line.Length && line[end + 1] != '\n'))
        {
            return ProxyHeader.Invalid("the line of its text header does not end with CR LF");
        }

        if (end + 1 == line.Length)
        {
            return line.Length < MaxLength ? ProxyHeader.Incomplete : ProxyHeader.Invalid("its text header is too long");
        }

        return ParseLine(line[ProxySignature.Text.Length..end]) is { } feature
            ? ProxyHeader.Complete(end + 2, feature)
            : ProxyHeader.Invalid("its text header is malformed");
    }

    private static ProxyProtocolFeature? ParseLine(ReadOnlySpan<byte> line)
    {
        bool hasMore = TryTakeField(ref line, out ReadOnlySpan<byte> protocol);
        if (protocol.SequenceEqual("UNKNOWN"u8))
        {
            // What may follow is to be ignored.
            return new ProxyProtocolFeature(Version, ProxyProtocolCommand.Proxy);
        }

        AddressFamily family = protocol.SequenceEqual("TCP4"u8) ? AddressFamily.InterNetwork
            : protocol.SequenceEqual("TCP6"u8) ? AddressFamily.InterNetworkV6
            : AddressFamily.Unspecified;
        return hasMore
            && family != AddressFamily.Unspecified
            && TryTakeField(ref line, out ReadOnlySpan<byte> sourceField)
            && TryTakeField(ref line, out ReadOnlySpan<byte> destinationField)
            && TryTakeField(ref line, out ReadOnlySpan<byte> sourcePortField)
            && TryParsePort(sourcePortField, out int sourcePort)
            && TryParsePort(line, out int destinationPort)
            && TryParseAddress(sourceField, family, out IPAddress? source)
            && TryParseAddress(destinationField, family, out IPAddress? destination)
            ? new ProxyProtocolFeature(
                Version, ProxyProtocolCommand.Proxy, new IPEndPoint(source!, sourcePort), new IPEndPoint(destination!, destinationPort))
            : null;
    }

    // False: there is no space behind it, so it is the last.
    private static bool TryTakeField(ref ReadOnlySpan<byte> line, out ReadOnlySpan<byte> field)
    {
        int space = line.IndexOf((byte)' ');
        field = space < 0 ? line : line[..space];
        line = space < 0 ? default : line[(space + 1)..];
        return space >= 0;
    }

    private static bool TryParsePort(ReadOnlySpan<byte> field, out int port) =>
        TryParseNumber(field, MaxPortLength, out port) && port <= IPEndPoint.MaxPort;

    private static bool TryParseAddress(ReadOnlySpan<byte> field, AddressFamily family, out IPAddress? address) =>
        family == AddressFamily.InterNetwork ? TryParseIPv4(field, out address) : TryParseIPv6(field, out address);

    // The framework's parser takes much more for an address: 1, 0x7f.1, 010.0.0.1.
    private static bool TryParseIPv4(ReadOnlySpan<byte> field, out IPAddress? address)
    {
        address = null;
        Span<byte> bytes = stackalloc byte[4];
        for (int i = 0; i < bytes.Length; i++)
        {
            int dot = field.IndexOf((byte)'.');
            bool isLast = i == bytes.Length - 1;
            if (dot < 0 != isLast || !TryParseNumber(isLast ? field : field[..dot], 3, out int number) || number > byte.MaxValue)
            {
                return false;
            }

            bytes[i] = (byte)number;
            field = field[(dot + 1)..];
        }

        address = new IPAddress(bytes);
        return true;
    }

    // The framework's parser would also take scopes, brackets and ports, which these characters leave no way to write.
    private static bool TryParseIPv6(ReadOnlySpan<byte> field, out IPAddress? address)
    {
        address = null;
        if (field.Length > MaxAddressLength || field.ContainsAnyExcept(AddressCharacters))
        {
            return false;
        }

        if (field.Contains((byte)'.') && !TryParseIPv4(field[(field.LastIndexOf((byte)':') + 1)..], out _))
        {
            return false;
        }

        return IPAddress.TryParse(field, out address) && address.AddressFamily == AddressFamily.InterNetworkV6;
    }

    // Decimal digits, without zeros in front.
    private static bool TryParseNumber(ReadOnlySpan<byte> field, int maxLength, out int number)
    {
        number = 0;
        if (field.IsEmpty || field.Length > maxLength || (field.Length > 1 && field[0] == '0'))
        {
            return false;
        }

        foreach (byte digit in field)
        {
            if (!char.IsAsciiDigit((char)digit))
            {
                return false;
            }

            number = (number * 10) + (digit - '0');
        }

        return true;
    }
}
