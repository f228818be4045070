using System.Buffers.Binary;
using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>Version 2, byte by byte.</summary>
[OneMode]
public class BinaryHeaderTests
{
    private const string Client = "192.0.2.1:56324";
    private const string Server = "198.51.100.2:443";
    private const string Client6 = "[2001:db8::1]:56324";
    private const string Server6 = "[2001:db8::2]:443";

    public static TheoryData<string, byte[]> Valid => new()
    {
        { $"v2 Proxy {Client} {Server}", HeaderBytes.Binary(Client, Server) },
        { $"v2 Proxy {Client6} {Server6}", HeaderBytes.Binary(Client6, Server6) },
        { "v2 Proxy 0.0.0.0:0 255.255.255.255:65535", HeaderBytes.Binary("0.0.0.0:0", "255.255.255.255:65535") },

        // Datagrams: what a proxy says that serves HTTP/3.
        { $"v2 Proxy {Client} {Server}", HeaderBytes.Binary(HeaderBytes.Proxy, 0x12, HeaderBytes.Addresses(Client, Server)) },
        { $"v2 Proxy {Client6} {Server6}", HeaderBytes.Binary(HeaderBytes.Proxy, 0x22, HeaderBytes.Addresses(Client6, Server6)) },
        { "v2 Proxy /run/a /run/b", Unix(0x32, "/run/a", "/run/b") },

        { "v2 Proxy /run/client.sock /run/proxy.sock", Unix(0x31, "/run/client.sock", "/run/proxy.sock") },
        { "v2 Proxy @abstract /x", Unix(0x31, "\0abstract", "/x") },
        { $"v2 Proxy /{new string('a', 107)} /{new string('b', 107)}", Unix(0x31, "/" + new string('a', 107), "/" + new string('b', 107)) },
        { $"v2 Proxy @{new string('a', 107)} /", Unix(0x31, "\0" + new string('a', 107), "/") },

        // TLVs.
        {
            $"v2 Proxy {Client} {Server} 01=6832,02=782e74657374",
            HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(1, "h2"u8.ToArray()), HeaderBytes.Tlv(2, "x.test"u8.ToArray()))
        },
        { $"v2 Proxy {Client6} {Server6} 04=,ea=00", HeaderBytes.Binary(Client6, Server6, HeaderBytes.Tlv(4), HeaderBytes.Tlv(0xEA, 0)) },
        {
            "v2 Proxy /a /b ff=0102",
            HeaderBytes.Binary(0x21, 0x31, HeaderBytes.UnixAddress("/a"), HeaderBytes.UnixAddress("/b"), HeaderBytes.Tlv(0xFF, 1, 2))
        },

        // Nothing is said: the addresses, if there are any, mean nothing, and TLVs are read where there is nothing else.
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x00) },
        { "v2 Proxy - - 05=0102", HeaderBytes.Binary(HeaderBytes.Proxy, 0x00, HeaderBytes.Tlv(5, 1, 2)) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x00, HeaderBytes.Addresses(Client, Server)) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x10, HeaderBytes.Addresses(Client, Server)) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x01) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x02) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x20) },
        { "v2 Proxy - -", HeaderBytes.Binary(HeaderBytes.Proxy, 0x30, new byte[1]) },

        // The proxy's own: whatever else is there is ignored.
        { "v2 Local - -", HeaderBytes.Binary(HeaderBytes.Local, 0x00) },
        { "v2 Local - -", HeaderBytes.Binary(HeaderBytes.Local, 0x11, HeaderBytes.Addresses(Client, Server)) },
        { "v2 Local - -", HeaderBytes.Binary(HeaderBytes.Local, 0x11, new byte[1]) },
        { "v2 Local - -", HeaderBytes.Binary(HeaderBytes.Local, 0xFF, [1, 2, 3, 4, 5]) },
        { "v2 Local - -", HeaderBytes.Binary(HeaderBytes.Local, 0x00, HeaderBytes.Tlv(HeaderBytes.ChecksumType, 1, 2, 3, 4)) },
    };

    public static TheoryData<byte[]> Invalid =>
    [
        // TLVs that are cut off.
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x11, HeaderBytes.Addresses(Client, Server), [4]),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x11, HeaderBytes.Addresses(Client, Server), [4, 0]),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x11, HeaderBytes.Addresses(Client, Server), [4, 0, 1]),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x11, HeaderBytes.Addresses(Client, Server), [4, 255, 255, 1]),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x21, HeaderBytes.Addresses(Client6, Server6), [4, 0, 0, 4]),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x31, HeaderBytes.UnixAddress("/a"), HeaderBytes.UnixAddress("/b"), [4, 1, 0]),

        // Checksums of another length, and two of them.
        HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(HeaderBytes.ChecksumType)),
        HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(HeaderBytes.ChecksumType, 1, 2, 3)),
        HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(HeaderBytes.ChecksumType, 1, 2, 3, 4, 5)),
        HeaderBytes.WithChecksum(HeaderBytes.WithChecksum(HeaderBytes.Binary(Client, Server))),
        HeaderBytes.Binary(HeaderBytes.Proxy, 0x00, HeaderBytes.Tlv(HeaderBytes.ChecksumType, 1, 2, 3, 4)),
    ];

    [Theory]
    [MemberData(nameof(Valid))]
    public void It_says_who_and_where_and_what_else(string what, byte[] header)
    {
        var expected = new ParsedHeader("Complete", header.Length, what);

        Assert.Equal(expected, SimpleParser.Parse(header));
        foreach (int segment in (int[])[1, 2, 13, 16, 100, 1000])
        {
            Assert.Equal(expected, ParsedHeader.Of(header, segment));
            Assert.Equal(expected, ParsedHeader.Of([.. header, .. "GET / HTTP/1.1\r\n\r\n"u8], segment));
            Assert.Equal(expected, ParsedHeader.Of([.. header, .. header], segment));
        }
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void Every_truncation_is_waited_for(string what, byte[] header)
    {
        for (int length = 0; length < header.Length; length++)
        {
            Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..length]));
            Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..length], 1));
        }

        Assert.Equal(what, ParsedHeader.Of(header).What);
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public void What_is_wrong_in_its_end_is_invalid_when_all_of_it_is_there(byte[] header)
    {
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(header[..^1]));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header, 1));
        Assert.Equal(ParsedHeader.Invalid, SimpleParser.Parse(header));
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void Every_byte_in_every_place_means_what_it_means_to_a_simple_parser(string what, byte[] header)
    {
        Assert.Equal(what, ParsedHeader.Of(header).What);
        byte[] copy = [.. header];
        for (int i = 0; i < Math.Min(copy.Length, 80); i++)
        {
            for (int value = 0; value <= byte.MaxValue; value++)
            {
                copy[i] = (byte)value;
                Assert.Equal(SimpleParser.Parse(copy), ParsedHeader.Of(copy));
            }

            copy[i] = header[i];
        }
    }

    [Fact]
    public void Only_version_2_and_two_commands_are_known()
    {
        for (int value = 0; value <= byte.MaxValue; value++)
        {
            bool known = value is 0x20 or 0x21;

            // At once, not when the rest has come.
            Assert.Equal(known ? ParsedHeader.Incomplete : ParsedHeader.Invalid, ParsedHeader.Of([.. HeaderBytes.Signature, (byte)value]));
        }
    }

    [Fact]
    public void Only_four_families_and_three_transports_are_known_unless_the_connection_is_the_proxys_own()
    {
        for (int value = 0; value <= byte.MaxValue; value++)
        {
            bool known = value >> 4 <= 3 && (value & 0xF) <= 2;
            ParsedHeader expected = known ? ParsedHeader.Incomplete : ParsedHeader.Invalid;
            Assert.Equal(expected, ParsedHeader.Of([.. HeaderBytes.Signature, 0x21, (byte)value]));
            Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of([.. HeaderBytes.Signature, 0x20, (byte)value]));
        }
    }

    [Theory]
    [InlineData(0x11, 12)]
    [InlineData(0x12, 12)]
    [InlineData(0x21, 36)]
    [InlineData(0x22, 36)]
    [InlineData(0x31, 216)]
    [InlineData(0x32, 216)]
    public void A_length_that_does_not_hold_the_addresses_is_invalid_at_once(byte family, int needed)
    {
        for (int length = 0; length <= needed; length++)
        {
            byte[] start = [.. HeaderBytes.Signature, 0x21, family, 0, (byte)length];
            Assert.Equal(length < needed ? ParsedHeader.Invalid : ParsedHeader.Incomplete, ParsedHeader.Of(start));
        }
    }

    [Theory]
    [InlineData(HeaderBytes.Proxy)]
    [InlineData(HeaderBytes.Local)]
    public void A_length_above_the_limit_is_invalid_at_once(byte command)
    {
        byte[] addresses = HeaderBytes.Addresses(Client, Server);
        byte[] longest = HeaderBytes.Binary(command, 0x11, addresses, HeaderBytes.Tlv(4, new byte[4096 - 16 - 12 - 3]));
        byte[] tooLong = HeaderBytes.Binary(command, 0x11, addresses, HeaderBytes.Tlv(4, new byte[4096 - 16 - 12 - 2]));

        Assert.Equal(4096, longest.Length);
        Assert.Equal("Complete", ParsedHeader.Of(longest).Status);
        Assert.Equal("Complete", ParsedHeader.Of(longest, 1000).Status);
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(longest[..16]));
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(tooLong[..16]));
        Assert.Equal(ParsedHeader.Incomplete, ParsedHeader.Of(tooLong[..15]));
    }

    [Fact]
    public void It_has_65551_bytes_at_most()
    {
        byte[] header = HeaderBytes.Binary(Client, Server, HeaderBytes.Tlv(0xE0, [.. Enumerable.Repeat((byte)7, 65535 - 12 - 3)]));

        Assert.Equal(65551, header.Length);
        Assert.Equal(SimpleParser.Parse(header, 65551), ParsedHeader.Of(header, 4096, maxLength: 65551));
        Assert.Equal("Complete", ParsedHeader.Of(header, 4096, maxLength: 65551).Status);
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header, 4096, maxLength: 65550));
    }

    [Fact]
    public void A_name_that_is_missing_is_empty()
    {
        byte[] header = Unix(HeaderBytes.UnixStream, "", "/run/server.sock");

        Assert.Equal("v2 Proxy  /run/server.sock", ParsedHeader.Of(header).What);
    }

    [Fact]
    public void A_name_that_is_no_text_does_no_harm()
    {
        for (int value = 1; value <= byte.MaxValue; value++)
        {
            byte[] header = Unix(HeaderBytes.UnixStream, "/a", "/b");
            Array.Fill(header, (byte)value, 16, 108);
            Assert.Equal(SimpleParser.Parse(header), ParsedHeader.Of(header));
        }
    }

    [Fact]
    public void No_change_of_a_byte_survives_the_checksum()
    {
        byte[] header = HeaderBytes.WithChecksum(HeaderBytes.Binary(
            Client, Server, HeaderBytes.Tlv(2, "x.test"u8.ToArray()), HeaderBytes.Tlv(4, new byte[20])));
        Assert.Equal("Complete", ParsedHeader.Of(header).Status);
        Assert.Equal("Complete", ParsedHeader.Of(header, 5).Status);

        for (int i = 12; i < header.Length; i++)
        {
            byte right = header[i];
            for (int value = 0; value <= byte.MaxValue; value++)
            {
                header[i] = (byte)value;
                ParsedHeader parsed = ParsedHeader.Of(header);

                // The change may hide the checksum itself: its type, a length in front of it, a command or family that has no TLVs.
                bool hidden = !parsed.What.Contains("03=", StringComparison.Ordinal);
                Assert.True(
                    value == right || hidden || parsed == ParsedHeader.Invalid,
                    string.Create(CultureInfo.InvariantCulture, $"byte {i} as {value:x2}: {parsed}"));
                Assert.False(hidden && i is >= 16 and < 28 && parsed.Status == "Complete", "An address has changed and is believed.");
            }

            header[i] = right;
        }
    }

    [Fact]
    public void The_checksum_may_be_anywhere_among_the_TLVs()
    {
        byte[] checksum = HeaderBytes.Tlv(HeaderBytes.ChecksumType, 0, 0, 0, 0);
        byte[] header = HeaderBytes.Binary(
            Client6, Server6, HeaderBytes.Tlv(1, "h2"u8.ToArray()), checksum, HeaderBytes.Tlv(4, new byte[9]));
        int at = 16 + 36 + 5 + 3;
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(at), HeaderBytes.Crc32C(header));

        Assert.Equal("Complete", ParsedHeader.Of(header).Status);
        Assert.Equal("Complete", ParsedHeader.Of(header, 3).Status);
        header[at + 3] ^= 1;
        Assert.Equal(ParsedHeader.Invalid, ParsedHeader.Of(header));
    }

    [Fact]
    public void The_checksum_of_the_tests_is_the_standards() => Assert.Equal(0xE3069283, HeaderBytes.Crc32C("123456789"u8));

    private static byte[] Unix(byte family, string source, string destination) =>
        HeaderBytes.Binary(HeaderBytes.Proxy, family, HeaderBytes.UnixAddress(source), HeaderBytes.UnixAddress(destination));
}
