using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// Who may send a header. Networks of IPv4 are kept as the IPv6 ones that they are mapped to, in which a dual-mode listener sees their
/// hosts; so nothing has to be converted, or allocated, for a connection. Immutable.
/// </summary>
internal sealed class TrustedPeers
{
    // ::ffff:0:0/96
    private const int MappedPrefixLength = 96;

    private readonly (UInt128 Address, UInt128 Mask, bool IsIPv4)[] _networks;
    private readonly bool _unixSockets;

    internal TrustedPeers(IEnumerable<IPNetwork> networks, bool unixSockets)
    {
        _networks = [.. networks.Select(static network => Convert(network))];
        _unixSockets = unixSockets;
    }

    internal bool Contain(EndPoint? peer) => peer switch
    {
        IPEndPoint { Address: var address } => Contain(address),
        UnixDomainSocketEndPoint => _unixSockets,
        _ => false,
    };

    // ::/0 means IPv6: a peer of IPv4 is only in networks of IPv4.
    private bool Contain(IPAddress address)
    {
        UInt128 bits = ToBits(address);
        bool isIPv4 = address.AddressFamily == AddressFamily.InterNetwork || address.IsIPv4MappedToIPv6;
        foreach ((UInt128 Address, UInt128 Mask, bool IsIPv4) network in _networks)
        {
            if (network.IsIPv4 == isIPv4 && (bits & network.Mask) == network.Address)
            {
                return true;
            }
        }

        return false;
    }

    private static (UInt128 Address, UInt128 Mask, bool IsIPv4) Convert(IPNetwork network)
    {
        IPAddress address = network.BaseAddress;
        int length = network.PrefixLength;
        bool isIPv4 = address.IsIPv4MappedToIPv6 && length >= MappedPrefixLength;
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            length += MappedPrefixLength;
            isIPv4 = true;
        }

        UInt128 mask = length == 0 ? 0 : UInt128.MaxValue << (128 - length);
        return (ToBits(address) & mask, mask, isIPv4);
    }

    private static UInt128 ToBits(IPAddress address)
    {
        Span<byte> bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];
        _ = address.TryWriteBytes(address.AddressFamily == AddressFamily.InterNetwork ? bytes[12..] : bytes, out _);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }
}
