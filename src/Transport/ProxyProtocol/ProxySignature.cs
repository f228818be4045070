using System.Buffers;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>Tells by the first bytes whether there is a header, and which.</summary>
internal static class ProxySignature
{
    internal enum Kind
    {
        Undecided,
        None,
        Text,
        Binary,
    }

    internal static ReadOnlySpan<byte> Text => "PROXY "u8;

    internal static ReadOnlySpan<byte> Binary => [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    internal static Kind Find(in ReadOnlySequence<byte> bytes)
    {
        Span<byte> space = stackalloc byte[Binary.Length];
        ReadOnlySpan<byte> start = space[..CopyStart(bytes, space)];
        return Match(start, Text, Kind.Text) is var kind and not Kind.None ? kind : Match(start, Binary, Kind.Binary);
    }

    /// <summary>Copies as many bytes as there are, and as there is room for.</summary>
    internal static int CopyStart(in ReadOnlySequence<byte> bytes, Span<byte> destination)
    {
        int count = (int)Math.Min(bytes.Length, destination.Length);
        bytes.Slice(0, count).CopyTo(destination);
        return count;
    }

    private static Kind Match(ReadOnlySpan<byte> start, ReadOnlySpan<byte> signature, Kind kind)
    {
        int same = start.CommonPrefixLength(signature);
        return same == signature.Length ? kind : same == start.Length ? Kind.Undecided : Kind.None;
    }
}
