using System.Globalization;
using System.Net;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport;

/// <summary>
/// How an endpoint treats the PROXY protocol header with which a proxy says who its client is. Read once, when the endpoint is set up; not
/// thread-safe.
/// </summary>
public sealed class ProxyProtocolOptions
{
    internal const int DefaultMaxHeaderLength = 4096;
    internal static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(5);

    // The fixed part of a binary header; it and the longest addresses; it and the most that its 16-bit length can say.
    private const int LowestMaxHeaderLength = 16 + (2 * 108);
    private const int HighestMaxHeaderLength = 16 + ushort.MaxValue;

    /// <summary>
    /// Gets the networks whose hosts are believed. A header of anybody else is refused: it would let a client choose the address that the
    /// application sees. A network of IPv4 also holds the same peers where they are seen as IPv6 addresses (<c>::ffff:10.0.0.1</c>).
    /// </summary>
    /// <value>The default is loopback: <c>127.0.0.0/8</c> and <c>::1/128</c>. Add the proxies' networks, or clear it first.</value>
    public IList<IPNetwork> TrustedNetworks { get; } =
    [
        new IPNetwork(new IPAddress([127, 0, 0, 0]), 8),
        new IPNetwork(IPAddress.IPv6Loopback, 128),
    ];

    /// <summary>
    /// Gets or sets whether peers on Unix domain sockets are believed. Who may connect there is up to the permissions of the file;
    /// an abstract name has none, and anybody in its network namespace may.
    /// </summary>
    /// <value>The default is <see langword="true"/>. Has no effect on other endpoints.</value>
    public bool TrustUnixSockets { get; set; } = true;

    /// <summary>
    /// Gets or sets whether every connection must begin with a header. If not, a connection whose first bytes cannot be a header is served
    /// as it is, whoever the peer is. Bytes that could still become a header are waited for until <see cref="Timeout"/>.
    /// </summary>
    /// <value>The default is <see langword="true"/>: peers that are not trusted are then refused before anything is read.</value>
    public bool Required { get; set; } = true;

    /// <summary>Gets or sets how long the header may take from the moment the connection is there.</summary>
    /// <value>1 millisecond to 2,147,483,647 milliseconds; the default is 5 seconds.</value>
    public TimeSpan Timeout { get; set; } = DefaultTimeout;

    /// <summary>
    /// Gets or sets how long a binary header may be, with everything that belongs to it. Text headers have 107 bytes at most.
    /// </summary>
    /// <value>232 to 65,551 bytes; the default is 4,096.</value>
    public int MaxHeaderLength { get; set; } = DefaultMaxHeaderLength;

    /// <exception cref="OptionsValidationException">An option is out of its range; the message names it.</exception>
    internal void Validate()
    {
        List<string>? failures = null;
        if (Timeout < TimeSpan.FromMilliseconds(1) || Timeout > TimeSpan.FromMilliseconds(int.MaxValue))
        {
            Fail(nameof(Timeout), Timeout, $"between {TimeSpan.FromMilliseconds(1)} and {TimeSpan.FromMilliseconds(int.MaxValue)}");
        }

        if (MaxHeaderLength is < LowestMaxHeaderLength or > HighestMaxHeaderLength)
        {
            Fail(nameof(MaxHeaderLength), MaxHeaderLength, $"between {LowestMaxHeaderLength} and {HighestMaxHeaderLength} bytes");
        }

        if (Required && !TrustUnixSockets && TrustedNetworks.Count == 0)
        {
            const string While = $"while {nameof(Required)} is set and {nameof(TrustUnixSockets)} is not";
            Fail(nameof(TrustedNetworks), "empty", $"one network or more {While}: no connection could be served");
        }

        if (failures is not null)
        {
            throw new OptionsValidationException(nameof(ProxyProtocolOptions), typeof(ProxyProtocolOptions), failures);
        }

        void Fail(string option, object value, string range) => (failures ??= []).Add(string.Create(
            CultureInfo.InvariantCulture, $"{nameof(ProxyProtocolOptions)}.{option} is {value}; it must be {range}."));
    }
}
