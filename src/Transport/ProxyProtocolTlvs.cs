using System.Buffers.Binary;

namespace KestrelNetpoll.Transport;

/// <summary>
/// What a binary PROXY protocol header says beyond the addresses, in its order. Reading allocates nothing. Immutable, so safe from any
/// thread.
/// </summary>
public readonly struct ProxyProtocolTlvs
{
    // A type and a length of two bytes.
    private const int HeadLength = 3;

    // Which kinds of TLS, and four bytes of the verification's result.
    private const int TlsHeadLength = 5;

    private readonly ReadOnlyMemory<byte> _bytes;

    private ProxyProtocolTlvs(ReadOnlyMemory<byte> bytes) => _bytes = bytes;

    /// <summary>Gets whether there are none.</summary>
    public bool IsEmpty => _bytes.IsEmpty;

    /// <summary>Gets the value of the first one of a type.</summary>
    /// <param name="type">The type.</param>
    /// <param name="value">Its bytes.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    public bool TryGetValue(ProxyProtocolTlvType type, out ReadOnlyMemory<byte> value)
    {
        foreach (ProxyProtocolTlv tlv in this)
        {
            if (tlv.Type == type)
            {
                value = tlv.Value;
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>Reads what is said about the client's TLS.</summary>
    /// <param name="tls">What is said.</param>
    /// <returns><see langword="false"/> if nothing is, or something that makes no sense.</returns>
    public bool TryGetTls(out ProxyProtocolTls tls)
    {
        if (TryGetValue(ProxyProtocolTlvType.Tls, out ReadOnlyMemory<byte> value)
            && value.Length >= TlsHeadLength
            && TryRead(value[TlsHeadLength..], out ProxyProtocolTlvs details))
        {
            uint verifyResult = BinaryPrimitives.ReadUInt32BigEndian(value.Span[1..]);
            tls = new ProxyProtocolTls((ProxyProtocolTlsClient)value.Span[0], verifyResult, details);
            return true;
        }

        tls = default;
        return false;
    }

    /// <summary>Goes through all of them.</summary>
    /// <returns>An enumerator in front of the first.</returns>
    public Enumerator GetEnumerator() => new(_bytes);

    /// <summary>The bytes must be one after the other, with nothing left over. They are referred to, not copied.</summary>
    internal static bool TryRead(ReadOnlyMemory<byte> bytes, out ProxyProtocolTlvs tlvs)
    {
        ReadOnlyMemory<byte> rest = bytes;
        while (TryReadOne(ref rest, out _))
        {
        }

        tlvs = rest.IsEmpty ? new ProxyProtocolTlvs(bytes) : default;
        return rest.IsEmpty;
    }

    private static bool TryReadOne(ref ReadOnlyMemory<byte> rest, out ProxyProtocolTlv tlv)
    {
        ReadOnlySpan<byte> bytes = rest.Span;
        int end = bytes.Length < HeadLength ? int.MaxValue : HeadLength + BinaryPrimitives.ReadUInt16BigEndian(bytes[1..]);
        if (end > bytes.Length)
        {
            tlv = default;
            return false;
        }

        tlv = new ProxyProtocolTlv((ProxyProtocolTlvType)bytes[0], rest[HeadLength..end]);
        rest = rest[end..];
        return true;
    }

    /// <summary>Goes through them one by one.</summary>
    public struct Enumerator
    {
        private ReadOnlyMemory<byte> _rest;

        internal Enumerator(ReadOnlyMemory<byte> bytes) => _rest = bytes;

        /// <summary>Gets the one it is at.</summary>
        public ProxyProtocolTlv Current { get; private set; }

        /// <summary>Moves to the next.</summary>
        /// <returns><see langword="false"/> if there is none.</returns>
        public bool MoveNext()
        {
            bool found = TryReadOne(ref _rest, out ProxyProtocolTlv tlv);
            Current = tlv;
            return found;
        }
    }
}
