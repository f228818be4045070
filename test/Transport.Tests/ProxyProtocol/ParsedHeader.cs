using KestrelNetpoll.Transport.ProxyProtocol;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>What a parser makes of some bytes, in a form in which two parsers can be compared.</summary>
internal sealed record ParsedHeader(string Status, int Length = 0, string What = "")
{
    internal const int MaxLength = 4096;

    internal static readonly ParsedHeader Incomplete = new("Incomplete");
    internal static readonly ParsedHeader Absent = new("Absent");
    internal static readonly ParsedHeader Invalid = new("Invalid");

    internal static ParsedHeader Complete(int length, int version, string command, string? source, string? destination, string tlvs) =>
        new("Complete", length, $"v{version} {command} {source ?? "-"} {destination ?? "-"} {tlvs}".TrimEnd());

    /// <summary>What the transport's parser says.</summary>
    internal static ParsedHeader Of(byte[] bytes, int segmentSize = int.MaxValue / 2, int maxLength = MaxLength)
    {
        ProxyHeader header = ProxyHeader.Parse(HeaderBytes.InSegments(bytes, segmentSize), maxLength);
        if (header.Status != ProxyHeaderStatus.Complete)
        {
            Assert.Null(header.Feature);
            Assert.Equal(0, header.Length);
            Assert.Equal(header.Status == ProxyHeaderStatus.Invalid, header.Defect is not null);
            return new ParsedHeader(header.Status.ToString());
        }

        ProxyProtocolFeature feature = header.Feature!;
        List<string> tlvs = [];
        foreach (ProxyProtocolTlv tlv in feature.Tlvs)
        {
            tlvs.Add($"{(byte)tlv.Type:x2}={Convert.ToHexStringLower(tlv.Value.Span)}");
        }

        return Complete(
            header.Length,
            feature.Version,
            feature.Command.ToString(),
            feature.SourceEndPoint?.ToString(),
            feature.DestinationEndPoint?.ToString(),
            string.Join(',', tlvs));
    }
}
