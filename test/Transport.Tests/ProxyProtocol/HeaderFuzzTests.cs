using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>
/// Headers with mistakes that nobody has thought of: two parsers must agree on all of them. NETPOLL_TEST_SEED makes a run again.
/// </summary>
[OneMode]
public class HeaderFuzzTests
{
    private const int Rounds = 100_000;

    private static readonly string[] Words =
    [
        "PROXY", "TCP4", "TCP6", "UNKNOWN", " ", " ", "\r\n", "\r", "\n", ".", ":", "::",
        "0", "00", "1", "255", "256", "65535", "65536", "ffff", "12345", "%", "[", "]", "/",
        "1.2.3.4", "::1", "::ffff:1.2.3.4", "2001:db8::1", "-1", "+1", "0x1", "\0", "\u00ff",
    ];

    [Fact]
    public void Two_parsers_agree_on_text_headers() => Run(random =>
    {
        string protocol = random.Next(2) == 0 ? "4" : "6";
        List<string> words =
        [
            "PROXY", " ", "TCP" + protocol, " ", Address(random, protocol), " ", Address(random, protocol), " ",
            $"{random.Next(65536)}", " ", $"{random.Next(65536)}", "\r\n",
        ];
        for (int mistakes = random.Next(4); mistakes > 0; mistakes--)
        {
            int at = random.Next(words.Count);
            switch (random.Next(4))
            {
                case 0:
                    words[at] = Words[random.Next(Words.Length)];
                    break;
                case 1:
                    words.Insert(at, Words[random.Next(Words.Length)]);
                    break;
                case 2 when words.Count > 1:
                    words.RemoveAt(at);
                    break;
                default:
                    words[at] = Spoiled(random, words[at]);
                    break;
            }
        }

        return Encoding.Latin1.GetBytes(string.Concat(words));
    });

    [Fact]
    public void Two_parsers_agree_on_binary_headers() => Run(random =>
    {
        byte[] header = random.Next(8) switch
        {
            0 => HeaderBytes.Binary(HeaderBytes.Local, (byte)random.Next(256), Bytes(random, 30)),
            1 => HeaderBytes.Binary(HeaderBytes.Proxy, 0x00, Tlvs(random)),
            2 => HeaderBytes.Binary(HeaderBytes.Proxy, 0x31, HeaderBytes.UnixAddress("/a"), HeaderBytes.UnixAddress("\0b"), Tlvs(random)),
            3 or 4 => HeaderBytes.Binary("[2001:db8::1]:1", "[::1]:65535", Tlvs(random)),
            _ => HeaderBytes.Binary("192.0.2.1:1", "192.0.2.2:65535", Tlvs(random)),
        };
        if (random.Next(2) == 0)
        {
            header = HeaderBytes.WithChecksum(header);
        }

        for (int mistakes = random.Next(3); mistakes > 0; mistakes--)
        {
            int from = random.Next(3) == 0 ? 0 : 12;
            header[random.Next(from, random.Next(2) == 0 ? 16 : header.Length)] = (byte)random.Next(256);
        }

        return header;
    });

    [Fact]
    public void Two_parsers_agree_on_noise() => Run(random =>
    {
        byte[] noise = Bytes(random, 40);
        return random.Next(3) switch
        {
            0 => [.. "PROXY "u8, .. noise],
            1 => [.. HeaderBytes.Signature, .. noise],
            _ => noise,
        };
    });

    private static void Run(Func<Random, byte[]> create)
    {
        const string Variable = "NETPOLL_TEST_SEED";
        int seed = int.TryParse(Environment.GetEnvironmentVariable(Variable), out int given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"{Variable}={seed}");
        var random = new Random(seed);
        int complete = 0;
        int invalid = 0;
        for (int round = 0; round < Rounds; round++)
        {
            byte[] bytes = create(random);
            if (random.Next(4) == 0)
            {
                bytes = bytes[..random.Next(bytes.Length + 1)];
            }
            else if (random.Next(2) == 0)
            {
                bytes = [.. bytes, .. Bytes(random, 20)];
            }

            ParsedHeader expected = SimpleParser.Parse(bytes);
            ParsedHeader parsed = ParsedHeader.Of(bytes, random.Next(1, 40));
            Assert.True(expected == parsed, $"seed {seed}, round {round}: {expected} and {parsed} for {Convert.ToHexString(bytes)}");
            complete += expected.Status == "Complete" ? 1 : 0;
            invalid += expected == ParsedHeader.Invalid ? 1 : 0;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{complete} complete, {invalid} invalid");
        Assert.True(invalid > 0);
    }

    private static string Address(Random random, string protocol)
    {
        byte[] bytes = new byte[protocol == "4" ? 4 : 16];
        if (random.Next(3) != 0)
        {
            random.NextBytes(bytes.AsSpan(random.Next(bytes.Length)));
        }

        return new System.Net.IPAddress(bytes).ToString();
    }

    private static string Spoiled(Random random, string word)
    {
        const string Characters = "0123456789abcdefABCDEFgx.:% \r\n";
        int at = random.Next(word.Length + 1);
        return word[..at] + Characters[random.Next(Characters.Length)] + word[Math.Min(at + random.Next(2), word.Length)..];
    }

    private static byte[] Tlvs(Random random)
    {
        byte[] tlvs = [];
        for (int count = random.Next(4); count > 0; count--)
        {
            tlvs = [.. tlvs, .. HeaderBytes.Tlv((byte)random.Next(random.Next(2) == 0 ? 6 : 256), Bytes(random, 12))];
        }

        return tlvs;
    }

    private static byte[] Bytes(Random random, int max)
    {
        byte[] bytes = new byte[random.Next(max)];
        random.NextBytes(bytes);
        return bytes;
    }
}
