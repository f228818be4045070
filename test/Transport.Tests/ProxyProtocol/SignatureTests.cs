using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>What begins as other protocols do is no header, from the first byte on that cannot be of one.</summary>
[OneMode]
public class SignatureTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", 1)]
    [InlineData("POST / HTTP/1.1\r\n", 2)]
    [InlineData("PUT / HTTP/1.1\r\n", 2)]
    [InlineData("PATCH / HTTP/1.1\r\n", 2)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3)]
    [InlineData("PROPFIND / HTTP/1.1\r\n", 4)]
    [InlineData("PROXYING / HTTP/1.1\r\n", 6)]
    [InlineData("PROXY\tTCP4", 6)]
    [InlineData("proxy TCP4", 1)]
    [InlineData("\r\nGET / HTTP/1.1\r\n", 3)]
    [InlineData("\r\n\r\nGET / HTTP/1.1\r\n", 5)]
    [InlineData("\r\n\r\n\0\r\nQUIT\r\n", 12)]
    [InlineData("\n", 1)]
    [InlineData("\0", 1)]
    [InlineData("\u0016\u0003\u0001\u0002\0\u0001", 1)]
    public void What_cannot_be_a_header_is_known_at_the_first_byte_that_differs(string text, int decidedAt)
    {
        byte[] bytes = [.. text.Select(static c => (byte)c)];
        for (int length = 0; length <= bytes.Length; length++)
        {
            ParsedHeader expected = length < decidedAt ? ParsedHeader.Incomplete : ParsedHeader.Absent;
            Assert.Equal(expected, ParsedHeader.Of(bytes[..length]));
            Assert.Equal(expected, ParsedHeader.Of(bytes[..length], 1));
        }
    }

    [Fact]
    public void Only_one_byte_in_each_place_of_a_signature_is_right()
    {
        foreach (byte[] signature in (byte[][])["PROXY "u8.ToArray(), HeaderBytes.Signature])
        {
            for (int i = 0; i < signature.Length; i++)
            {
                byte[] start = signature[..(i + 1)];
                for (int value = 0; value <= byte.MaxValue; value++)
                {
                    start[i] = (byte)value;

                    // The two signatures part at their first bytes.
                    bool right = value == signature[i] || (i == 0 && (value == 'P' || value == '\r'));
                    Assert.Equal(right ? ParsedHeader.Incomplete : ParsedHeader.Absent, ParsedHeader.Of(start));
                }
            }
        }
    }
}
