using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>A second parser, slow and with strings, to compare the first one with.</summary>
internal static partial class SimpleParser
{
    private const string TextStart = "PROXY ";

    internal static ParsedHeader Parse(byte[] bytes, int maxLength = ParsedHeader.MaxLength)
    {
        string all = Encoding.Latin1.GetString(bytes);
        string binaryStart = Encoding.Latin1.GetString(HeaderBytes.Signature);
        return all.StartsWith(TextStart, StringComparison.Ordinal) ? ParseText(all)
            : all.StartsWith(binaryStart, StringComparison.Ordinal) ? ParseBinary(bytes, maxLength)
            : TextStart.StartsWith(all, StringComparison.Ordinal) ? ParsedHeader.Incomplete
            : binaryStart.StartsWith(all, StringComparison.Ordinal) ? ParsedHeader.Incomplete
            : ParsedHeader.Absent;
    }

    private static ParsedHeader ParseText(string all)
    {
        string start = all[..Math.Min(all.Length, 107)];
        Match line = Line().Match(start);
        if (!line.Success)
        {
            // One that may still end: no end, or half of one.
            return start.Length < 107 && UnfinishedLine().IsMatch(start) ? ParsedHeader.Incomplete : ParsedHeader.Invalid;
        }

        int length = line.Length;
        Match fields = Fields().Match(line.Groups[1].Value);
        if (!fields.Success)
        {
            return ParsedHeader.Invalid;
        }

        if (fields.Groups["unknown"].Success)
        {
            return ParsedHeader.Complete(length, 1, "Proxy", null, null, "");
        }

        bool isIPv4 = fields.Groups["family"].Value == "4";
        string? source = EndPoint(isIPv4, fields.Groups["source"].Value, fields.Groups["sourcePort"].Value);
        string? destination = EndPoint(isIPv4, fields.Groups["destination"].Value, fields.Groups["destinationPort"].Value);
        return source is null || destination is null
            ? ParsedHeader.Invalid
            : ParsedHeader.Complete(length, 1, "Proxy", source, destination, "");
    }

    private static string? EndPoint(bool isIPv4, string address, string port)
    {
        byte[]? bytes = isIPv4 ? IPv4(address) : IPv6(address);
        return bytes is null || int.Parse(port, CultureInfo.InvariantCulture) > 65535
            ? null
            : new IPEndPoint(new IPAddress(bytes), int.Parse(port, CultureInfo.InvariantCulture)).ToString();
    }

    private static byte[]? IPv4(string text)
    {
        string[] parts = text.Split('.');
        return parts.Length == 4 && parts.All(static part => Octet().IsMatch(part))
            ? [.. parts.Select(static part => byte.Parse(part, CultureInfo.InvariantCulture))]
            : null;
    }

    private static byte[]? IPv6(string text)
    {
        // An end with dots is two groups.
        int lastColon = text.LastIndexOf(':');
        if (text.Contains('.') && lastColon >= 0)
        {
            if (IPv4(text[(lastColon + 1)..]) is not { } tail)
            {
                return null;
            }

            text = $"{text[..(lastColon + 1)]}{tail[0]:x2}{tail[1]:x2}:{tail[2]:x2}{tail[3]:x2}";
        }

        string[] halves = text.Split("::");
        string[][] groups = [.. halves.Select(static half => half.Length == 0 ? [] : half.Split(':'))];
        int count = groups.Sum(static half => half.Length);
        bool wellFormed = groups.SelectMany(static half => half).All(static group => Group().IsMatch(group));
        if (!wellFormed || halves.Length > 2 || (halves.Length == 1 ? count != 8 : count > 7))
        {
            return null;
        }

        IEnumerable<string> complete = halves.Length == 1 ? groups[0] : [.. groups[0], .. Enumerable.Repeat("0", 8 - count), .. groups[1]];
        return [.. complete.SelectMany(static group => Convert.FromHexString(group.PadLeft(4, '0')))];
    }

    private static ParsedHeader ParseBinary(byte[] bytes, int maxLength)
    {
        int command = bytes.Length > 12 ? bytes[12] : -1;
        if (command is not (-1 or 0x20 or 0x21))
        {
            return ParsedHeader.Invalid;
        }

        int family = bytes.Length > 13 ? bytes[13] : -1;
        if (family >= 0 && command == 0x21 && (family / 16 > 3 || family % 16 > 2))
        {
            return ParsedHeader.Invalid;
        }

        if (bytes.Length < 16)
        {
            return ParsedHeader.Incomplete;
        }

        int length = 16 + (bytes[14] * 256) + bytes[15];
        int[] sizes = [0, 12, 36, 216];
        int addresses = command == 0x21 && family % 16 != 0 ? sizes[family / 16] : 0;
        if (length > maxLength || length - 16 < addresses)
        {
            return ParsedHeader.Invalid;
        }

        if (bytes.Length < length)
        {
            return ParsedHeader.Incomplete;
        }

        return command == 0x20
            ? ParsedHeader.Complete(length, 2, "Local", null, null, "")
            : ParseBlock(bytes[..length], family / 16, addresses);
    }

    private static ParsedHeader ParseBlock(byte[] header, int family, int addresses)
    {
        List<string> tlvs = [];
        bool right = true;
        int checksums = 0;
        int at = 16 + addresses;
        while (at + 3 <= header.Length && at + 3 + (header[at + 1] * 256) + header[at + 2] <= header.Length)
        {
            byte[] value = header[(at + 3)..(at + 3 + (header[at + 1] * 256) + header[at + 2])];
            tlvs.Add($"{header[at]:x2}={Convert.ToHexStringLower(value)}");
            if (header[at] == 3)
            {
                checksums++;
                byte[] zeroed = [.. header];
                Array.Clear(zeroed, at + 3, value.Length);
                string checksum = HeaderBytes.Crc32C(zeroed).ToString("x8", CultureInfo.InvariantCulture);
                right &= value.Length == 4 && Convert.ToHexStringLower(value) == checksum;
            }

            at += 3 + value.Length;
        }

        bool wellFormed = at == header.Length;
        if (wellFormed ? !right || checksums > 1 : addresses != 0)
        {
            return ParsedHeader.Invalid;
        }

        string? source = null;
        string? destination = null;
        if (addresses != 0)
        {
            byte[] block = header[16..(16 + addresses)];
            int size = family switch { 1 => 4, 2 => 16, _ => 108 };
            source = family == 3 ? Path(block[..108]) : Ip(block[..size], block[(2 * size)..(2 * size + 2)]);
            destination = family == 3 ? Path(block[108..]) : Ip(block[size..(2 * size)], block[(2 * size + 2)..]);
        }

        return ParsedHeader.Complete(header.Length, 2, "Proxy", source, destination, wellFormed ? string.Join(',', tlvs) : "");
    }

    private static string Ip(byte[] address, byte[] port) => new IPEndPoint(new IPAddress(address), (port[0] * 256) + port[1]).ToString();

    // As the framework prints them: an abstract name begins with @.
    private static string Path(byte[] bytes)
    {
        string text = Encoding.UTF8.GetString(bytes);
        return text[0] != '\0' ? text.Split('\0')[0]
            : text.TrimEnd('\0') is { Length: > 0 } name ? "@" + name[1..]
            : "";
    }

    [GeneratedRegex(@"\A([^\r\n]*)\r\n")]
    private static partial Regex Line();

    [GeneratedRegex(@"\A[^\r\n]*\r?\z")]
    private static partial Regex UnfinishedLine();

    [GeneratedRegex(
        @"\APROXY (?:(?<unknown>UNKNOWN)(?: .*)?|TCP(?<family>[46]) (?<source>[^ ]*) (?<destination>[^ ]*) "
            + @"(?<sourcePort>0|[1-9][0-9]{0,4}) (?<destinationPort>0|[1-9][0-9]{0,4}))\z",
        RegexOptions.Singleline)]
    private static partial Regex Fields();

    [GeneratedRegex(@"\A(?:0|[1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\z")]
    private static partial Regex Octet();

    [GeneratedRegex(@"\A[0-9a-fA-F]{1,4}\z")]
    private static partial Regex Group();
}
