using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Version 1, byte by byte.</summary>
[OneMode]
public class TextHeaderTests
{
    public static TheoryData<string, string, string> Valid => new()
    {
        { "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443", "192.0.2.1:56324", "198.51.100.2:443" },
        { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535", "255.255.255.255:65535" },
        { "PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0", "0.0.0.0:0" },
        { "PROXY TCP4 10.20.30.40 1.2.3.4 1 10", "10.20.30.40:1", "1.2.3.4:10" },
        { "PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 56324 443", "[2001:db8::1]:56324", "[2001:db8::2]:443" },
        {
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        },
        { "PROXY TCP6 :: ::1 0 1", "[::]:0", "[::1]:1" },
        { "PROXY TCP6 1:: 1:2:3:4:5:6:7:: 2 3", "[1::]:2", "[1:2:3:4:5:6:7:0]:3" },
        { "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443", "[::ffff:192.0.2.1]:56324", "[::ffff:198.51.100.2]:443" },
    };

    public static TheoryData<string> Unknown =>
    [
        "PROXY UNKNOWN",
        "PROXY UNKNOWN ",
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
        "PROXY UNKNOWN what ever \u00e9\0",
    ];

    public static TheoryData<string> Malformed =>
    [
        // The protocol.
        "PROXY ", "PROXY  ", "PROXY TCP4", "PROXY TCP4 ", "PROXY TCP6", "PROXY UNKNOWNS", "PROXY unknown", "PROXY tcp4 1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP 1.2.3.4 1.2.3.4 1 1", "PROXY TCP5 1.2.3.4 1.2.3.4 1 1", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP44 1.2.3.4 1.2.3.4 1 1",
        "PROXY UNIX_STREAM /a /b", "PROXY / HTTP/1.1",

        // The number of fields, and what is between them.
        "PROXY TCP4 1.2.3.4", "PROXY TCP4 1.2.3.4 1.2.3.4", "PROXY TCP4 1.2.3.4 1.2.3.4 1", "PROXY TCP4 1.2.3.4 1.2.3.4 1 ",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 ", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1", "PROXY TCP4  1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.4 1.2.3.4  1 1", "PROXY TCP4 1.2.3.4 1.2.3.4 1  1", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4\t1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.4\t1.2.3.4 1 1",

        // Addresses of IPv4.
        "PROXY TCP4 1.2.3 1.2.3.4 1 1", "PROXY TCP4 1.2.3.4.5 1.2.3.4 1 1", "PROXY TCP4 1.2.3. 1.2.3.4 1 1",
        "PROXY TCP4 .1.2.3 1.2.3.4 1 1",
        "PROXY TCP4 1..3.4 1.2.3.4 1 1", "PROXY TCP4 256.2.3.4 1.2.3.4 1 1", "PROXY TCP4 1.2.3.999 1.2.3.4 1 1",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.00 1.2.3.4 1 1", "PROXY TCP4 0x1.2.3.4 1.2.3.4 1 1", "PROXY TCP4 -1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4 16909060 1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.4 a.b.c.d 1 1", "PROXY TCP4 1.2.3.4 ::1 1 1", "PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 1",
        "PROXY TCP4 1.2.3.4: 1.2.3.4 1 1",

        // Addresses of IPv6.
        "PROXY TCP6 1.2.3.4 ::1 1 1", "PROXY TCP6 ::1 1.2.3.4 1 1", "PROXY TCP6 : ::1 1 1", "PROXY TCP6 ::: ::1 1 1",
        "PROXY TCP6 1::2::3 ::1 1 1",
        "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 1", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 1", "PROXY TCP6 1:2:3:4:5:6:7:8:: ::1 1 1",
        "PROXY TCP6 1:2:3:4::5:6:7:8 ::1 1 1",
        "PROXY TCP6 12345:: ::1 1 1", "PROXY TCP6 g:: ::1 1 1", "PROXY TCP6 :1:: ::1 1 1", "PROXY TCP6 ::1: ::1 1 1",
        "PROXY TCP6 fe80::1%1 ::1 1 1",
        "PROXY TCP6 [::1] ::1 1 1", "PROXY TCP6 ::1/128 ::1 1 1", "PROXY TCP6 ::1.2.3 ::1 1 1", "PROXY TCP6 ::1.2.3.256 ::1 1 1",
        "PROXY TCP6 ::01.2.3.4 ::1 1 1", "PROXY TCP6 1.2.3.4:: ::1 1 1", "PROXY TCP6 ::1.2.3.4:5 ::1 1 1", "PROXY TCP6  ::1 1 1",
        "PROXY TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 1",

        // Ports.
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536", "PROXY TCP4 1.2.3.4 1.2.3.4 01 1",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 00",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 1", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1", "PROXY TCP4 1.2.3.4 1.2.3.4 1.0 1",
        "PROXY TCP4 1.2.3.4 1.2.3.4 a 1",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 http", "PROXY TCP4 1.2.3.4 1.2.3.4 4294967297 1", "PROXY TCP4 1.2.3.4 1.2.3.4 100000 1",
    ];

    [Theory]
    [MemberData(nameof(Valid))]
    public void It_says_who_and_where(string line, string source, string destination)
    {
        byte[] header = HeaderBytes.Text(line);

        AssertEverywhere(ParsedHeader.Complete(header.Length, 1, "Proxy", source, destination, ""), header);
    }

    [Theory]
    [MemberData(nameof(Unknown))]
    public void What_follows_UNKNOWN_is_ignored(string line)
    {
        byte[] header = HeaderBytes.Text(line);

        AssertEverywhere(ParsedHeader.Complete(header.Length, 1, "Proxy", null, null, ""), header);
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Anything_else_is_invalid_when_the_line_ends(string line)
    {
        byte[] header = HeaderBytes.Text(line);

        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header));
        Assert.Equal(ParsedHeader.Invalid, SimpleParser.Parse(header));
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..^1]));
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..^2]));
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void Every_truncation_is_waited_for(string line, string source, string destination)
    {
        byte[] header = HeaderBytes.Text(line);
        for (int length = 0; length < header.Length; length++)
        {
            Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..length]));
            Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..length], 1));
        }

        Assert.Contains(source, ParsedHeader.Of(header).What, StringComparison.Ordinal);
        Assert.EndsWith(destination, ParsedHeader.Of(header).What, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void Every_byte_in_every_place_means_what_it_means_to_a_simple_parser(string line, string source, string destination)
    {
        byte[] header = HeaderBytes.Text(line);
        string original = $"v1 Proxy {source} {destination}";
        for (int i = 0; i < header.Length; i++)
        {
            byte right = header[i];
            for (int value = 0; value <= byte.MaxValue; value++)
            {
                header[i] = (byte)value;
                ParsedHeader parsed = ParsedHeader.Of(header);
                Assert.Equal(SimpleParser.Parse(header), parsed);
                Assert.Equal(value == right, parsed.What == original && value == right);
            }

            header[i] = right;
        }
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\r")]
    [InlineData("\rX")]
    [InlineData("\n\r")]
    public void Only_CR_LF_ends_the_line(string end)
    {
        byte[] header = [.. HeaderBytes.Text("PROXY UNKNOWN")[..^2], .. end.Select(static c => (byte)c)];

        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of([.. header, .. "\r\n"u8]));
    }

    [Fact]
    public void It_has_107_bytes_at_most_with_the_end_of_the_line()
    {
        byte[] longest = HeaderBytes.Text("PROXY UNKNOWN ".PadRight(105, 'x'));
        byte[] tooLong = HeaderBytes.Text("PROXY UNKNOWN ".PadRight(106, 'x'));

        Assert.Equal(107, longest.Length);
        Assert.Equal(ParsedHeader.Complete(107, 1, "Proxy", null, null, ""), ParsedHeader.Of(longest));
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(tooLong[..106]));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(tooLong[..107]));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(tooLong));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of([.. "PROXY "u8, .. new byte[101]]));
    }

    private static void AssertEverywhere(ParsedHeader expected, byte[] header)
    {
        Assert.Equal(expected, SimpleParser.Parse(header));
        foreach (int segment in (int[])[1, 2, 7, 50, 1000])
        {
            Assert.Equal(expected, ParsedHeader.Of(header, segment));

            // What follows is somebody else's, also if it could be one more header.
            Assert.Equal(expected, ParsedHeader.Of([.. header, .. "GET / HTTP/1.1\r\n\r\n"u8], segment));
            Assert.Equal(expected, ParsedHeader.Of([.. header, .. header], segment));
        }
    }
}
