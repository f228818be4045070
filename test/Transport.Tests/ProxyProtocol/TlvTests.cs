using KestrelNetpoll.Transport.ProxyProtocol;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

[OneMode]
public class TlvTests
{
    [Fact]
    public void They_come_in_order_and_the_first_of_a_type_is_found()
    {
        ProxyProtocolTlvs tlvs = Read(
            HeaderBytes.Tlv(1, "h2"u8.ToArray()), HeaderBytes.Tlv(0xE1, 1), HeaderBytes.Tlv(0xE1, 2), HeaderBytes.Tlv(4));
        List<(byte Type, string Value)> seen = [];
        foreach (ProxyProtocolTlv tlv in tlvs)
        {
            seen.Add(((byte)tlv.Type, Convert.ToHexString(tlv.Value.Span)));
        }

        Assert.Equal([(1, "6832"), (0xE1, "01"), (0xE1, "02"), (4, "")], seen);
        Assert.False(tlvs.IsEmpty);
        Assert.True(tlvs.TryGetValue(ProxyProtocolTlvType.Alpn, out ReadOnlyMemory<byte> alpn));
        Assert.True(alpn.Span.SequenceEqual("h2"u8));
        Assert.True(tlvs.TryGetValue((ProxyProtocolTlvType)0xE1, out ReadOnlyMemory<byte> custom));
        Assert.Equal(1, Assert.Single(custom.ToArray()));
        Assert.True(tlvs.TryGetValue(ProxyProtocolTlvType.NoOperation, out ReadOnlyMemory<byte> nothing));
        Assert.True(nothing.IsEmpty);
        Assert.False(tlvs.TryGetValue(ProxyProtocolTlvType.Authority, out _));
        Assert.False(tlvs.TryGetTls(out _));
    }

    [Fact]
    public void There_may_be_none()
    {
        ProxyProtocolTlvs tlvs = Read();

        Assert.True(tlvs.IsEmpty);
        Assert.False(tlvs.GetEnumerator().MoveNext());
        Assert.False(tlvs.TryGetValue(ProxyProtocolTlvType.None, out _));
        Assert.True(default(ProxyProtocolTlvs).IsEmpty);
        Assert.False(default(ProxyProtocolTlvs).TryGetTls(out _));
    }

    [Fact]
    public void Those_of_TLS_have_others_in_them()
    {
        byte[] value =
            [7, 1, 2, 3, 4, .. HeaderBytes.Tlv(0x21, "TLSv1.3"u8.ToArray()), .. HeaderBytes.Tlv(0x22, "me"u8.ToArray())];

        Assert.True(Read(HeaderBytes.Tlv(0x20, value)).TryGetTls(out ProxyProtocolTls tls));

        Assert.Equal(
            ProxyProtocolTlsClient.Tls | ProxyProtocolTlsClient.CertificateOnConnection | ProxyProtocolTlsClient.CertificateInSession,
            tls.Client);
        Assert.Equal(0x01020304u, tls.VerifyResult);
        Assert.True(tls.Details.TryGetValue(ProxyProtocolTlvType.TlsVersion, out ReadOnlyMemory<byte> version));
        Assert.True(version.Span.SequenceEqual("TLSv1.3"u8));
        Assert.True(tls.Details.TryGetValue(ProxyProtocolTlvType.TlsCommonName, out ReadOnlyMemory<byte> name));
        Assert.True(name.Span.SequenceEqual("me"u8));

        // Each of its truncations within something.
        for (int length = 0; length < value.Length; length++)
        {
            bool whole = length is 5 or 15;
            Assert.Equal(whole, Read(HeaderBytes.Tlv(0x20, value[..length])).TryGetTls(out _));
        }
    }

    [Fact]
    public void A_header_keeps_no_buffer_of_the_connection()
    {
        byte[] header = HeaderBytes.Binary("192.0.2.1:1", "192.0.2.2:2", HeaderBytes.Tlv(0xE0, 1, 2, 3));
        ProxyProtocolFeature feature = ProxyHeader.Parse(HeaderBytes.InSegments(header, 1000), 4096).Feature!;
        Array.Clear(header);

        Assert.True(feature.Tlvs.TryGetValue((ProxyProtocolTlvType)0xE0, out ReadOnlyMemory<byte> value));
        Assert.Equal([1, 2, 3], value.ToArray());
        Assert.Equal("192.0.2.1:1", $"{feature.SourceEndPoint}");
    }

    private static ProxyProtocolTlvs Read(params byte[][] tlvs)
    {
        Assert.True(ProxyProtocolTlvs.TryRead(tlvs.SelectMany(static tlv => tlv).ToArray(), out ProxyProtocolTlvs read));
        return read;
    }
}
