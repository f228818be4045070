using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Tmds.Linux;
using TmdsLibC = Tmds.Linux.LibC;

namespace KestrelNetpoll.Native.Interop;

/// <summary>IP end points in the kernel's form: struct sockaddr_in and struct sockaddr_in6.</summary>
internal static unsafe class InternetAddress
{
    /// <summary>sizeof(struct sockaddr_in6), the larger of the two.</summary>
    internal const int MaxLength = 28;

    // What is in front of an IPv4 address within IPv6.
    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];

    // The same of one that a translator has made: 64:ff9b::/96. All of the IPv4 clients behind it share the first 64 bits.
    private static ReadOnlySpan<byte> TranslatedPrefix => [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>Writes an IPv4 or IPv6 end point, and returns how many bytes that took.</summary>
    internal static int Write(IPEndPoint endPoint, Span<byte> address)
    {
        if (endPoint.AddressFamily == AddressFamily.InterNetwork)
        {
            sockaddr_in ipv4 = new() { sin_family = TmdsLibC.AF_INET, sin_port = SwapToNetworkOrder((ushort)endPoint.Port) };
            endPoint.Address.TryWriteBytes(new Span<byte>(ipv4.sin_addr.s_addr, sizeof(in_addr)), out _);
            MemoryMarshal.Write(address, in ipv4);
            return sizeof(sockaddr_in);
        }

        sockaddr_in6 ipv6 = new()
        {
            sin6_family = TmdsLibC.AF_INET6,
            sin6_port = SwapToNetworkOrder((ushort)endPoint.Port),
            sin6_scope_id = (uint)endPoint.Address.ScopeId,
        };
        endPoint.Address.TryWriteBytes(new Span<byte>(ipv6.sin6_addr.s6_addr, sizeof(in6_addr)), out _);
        MemoryMarshal.Write(address, in ipv6);
        return sizeof(sockaddr_in6);
    }

    /// <summary>Null: it is of another family, or not all there.</summary>
    internal static IPEndPoint? Read(ReadOnlySpan<byte> address)
    {
        int family = address.Length < sizeof(ushort) ? TmdsLibC.AF_UNSPEC : MemoryMarshal.Read<ushort>(address);
        if (family == TmdsLibC.AF_INET && address.Length >= sizeof(sockaddr_in))
        {
            sockaddr_in ipv4 = MemoryMarshal.Read<sockaddr_in>(address);
            return new IPEndPoint(
                new IPAddress(new ReadOnlySpan<byte>(ipv4.sin_addr.s_addr, sizeof(in_addr))), SwapToNetworkOrder(ipv4.sin_port));
        }

        if (family == TmdsLibC.AF_INET6 && address.Length >= sizeof(sockaddr_in6))
        {
            sockaddr_in6 ipv6 = MemoryMarshal.Read<sockaddr_in6>(address);
            return new IPEndPoint(
                new IPAddress(new ReadOnlySpan<byte>(ipv6.sin6_addr.s6_addr, sizeof(in6_addr)), ipv6.sin6_scope_id),
                SwapToNetworkOrder(ipv6.sin6_port));
        }

        return null;
    }

    /// <summary>
    /// The address without its port: of IPv4 all of it, of IPv6 the first 64 bits, and all of a link-local one, whose neighbours share
    /// those. False as null above.
    /// </summary>
    /// <param name="address">As it came from the kernel.</param>
    /// <param name="bits">In the order of the network, whatever that makes of the number.</param>
    /// <param name="moreBits">The same; 0 unless it is link-local.</param>
    /// <param name="isIPv6">False also for IPv4 within IPv6, mapped or translated (NAT64).</param>
    internal static bool TryReadNetwork(ReadOnlySpan<byte> address, out ulong bits, out ulong moreBits, out bool isIPv6)
    {
        int family = address.Length < sizeof(ushort) ? TmdsLibC.AF_UNSPEC : MemoryMarshal.Read<ushort>(address);
        bits = moreBits = 0;
        isIPv6 = false;
        if (family == TmdsLibC.AF_INET && address.Length >= sizeof(sockaddr_in))
        {
            sockaddr_in ipv4 = MemoryMarshal.Read<sockaddr_in>(address);
            bits = MemoryMarshal.Read<uint>(new ReadOnlySpan<byte>(ipv4.sin_addr.s_addr, sizeof(in_addr)));
            return true;
        }

        if (family != TmdsLibC.AF_INET6 || address.Length < sizeof(sockaddr_in6))
        {
            return false;
        }

        sockaddr_in6 ipv6 = MemoryMarshal.Read<sockaddr_in6>(address);
        var bytes = new ReadOnlySpan<byte>(ipv6.sin6_addr.s6_addr, sizeof(in6_addr));
        isIPv6 = !bytes.StartsWith(MappedPrefix) && !bytes.StartsWith(TranslatedPrefix);
        bits = isIPv6 ? MemoryMarshal.Read<ulong>(bytes) : MemoryMarshal.Read<uint>(bytes[MappedPrefix.Length..]);
        moreBits = isIPv6 && IsLinkLocal(bytes) ? MemoryMarshal.Read<ulong>(bytes[sizeof(ulong)..]) : 0;
        return true;
    }

    // fe80::/10
    private static bool IsLinkLocal(ReadOnlySpan<byte> bytes) => bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80;

    // And back: it is its own inverse.
    private static ushort SwapToNetworkOrder(ushort value) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}
