using System.Buffers;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>What the first bytes of a connection are.</summary>
internal enum ProxyHeaderStatus
{
    /// <summary>The beginning of a header, so far; or nothing yet.</summary>
    Incomplete,

    /// <summary>Something else than a header.</summary>
    Absent,

    /// <summary>They begin as a header and are none.</summary>
    Invalid,

    /// <summary>A header, and perhaps more.</summary>
    Complete,
}

/// <summary>What has been found at the beginning of a connection.</summary>
/// <param name="Status">Which of the following is there.</param>
/// <param name="Length">How many bytes the header has, if it is complete.</param>
/// <param name="Feature">The header, if it is complete.</param>
/// <param name="Defect">What is wrong with it, if it is invalid.</param>
internal readonly record struct ProxyHeader(ProxyHeaderStatus Status, int Length, ProxyProtocolFeature? Feature, string? Defect)
{
    internal static ProxyHeader Incomplete => default;

    internal static ProxyHeader Absent => new(ProxyHeaderStatus.Absent, 0, null, null);

    internal static ProxyHeader Complete(int length, ProxyProtocolFeature feature) =>
        new(ProxyHeaderStatus.Complete, length, feature, null);

    internal static ProxyHeader Invalid(string defect) => new(ProxyHeaderStatus.Invalid, 0, null, defect);

    /// <summary>
    /// Looks at everything that has come so far, from the first byte on. Nothing is remembered from one time to the next.
    /// </summary>
    internal static ProxyHeader Parse(in ReadOnlySequence<byte> bytes, int maxLength) => ProxySignature.Find(bytes) switch
    {
        ProxySignature.Kind.Text => TextHeader.Parse(bytes),
        ProxySignature.Kind.Binary => BinaryHeader.Parse(bytes, maxLength),
        ProxySignature.Kind.None => Absent,
        _ => Incomplete,
    };
}
