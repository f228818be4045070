using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A socket address in the kernel's form, kept as it came so that nothing is allocated until somebody asks for the end point. Made for
/// IP: of a Unix address there is only room for the fact that it is one, and whether it has a name.
/// </summary>
internal struct SocketAddressBytes
{
    // offsetof(sockaddr_in6, sin6_addr)
    private const int Address6Offset = 8;
    private const int Address6Length = 16;

    // What is in front of an IPv4 address within IPv6.
    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];

    private Storage _bytes;
    private int _length;

    /// <summary>A Unix address with a name, which did not fit: whoever wants it has to ask the kernel.</summary>
    internal readonly bool IsNamedUnix => _length > sizeof(ushort) && Family == LibC.AF_UNIX;

    internal readonly bool IsIp => Family is LibC.AF_INET or LibC.AF_INET6;

    internal readonly bool IsUnix => Family == LibC.AF_UNIX;

    private readonly ushort Family => _length < sizeof(ushort) ? (ushort)LibC.AF_UNSPEC : MemoryMarshal.Read<ushort>(Bytes);

    /// <summary>All of the storage, for a system call to fill. Follow with <see cref="WithLength"/>.</summary>
    [UnscopedRef]
    internal Span<byte> Buffer => _bytes;

    /// <summary>The bytes in use.</summary>
    [UnscopedRef]
    internal readonly ReadOnlySpan<byte> Bytes => ((ReadOnlySpan<byte>)_bytes)[.._length];

    internal readonly SocketAddressBytes WithLength(int length) =>
        this with { _length = Math.Min(length, Unsafe.SizeOf<Storage>()) };

    internal static SocketAddressBytes From(IPEndPoint endPoint)
    {
        SocketAddressBytes result = default;
        if (endPoint.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork)
        {
            sockaddr_in address = default;
            address.sin_family = LibC.AF_INET;
            address.sin_port = ToNetworkOrder((ushort)endPoint.Port);
            endPoint.Address.TryWriteBytes(MemoryMarshal.AsBytes(new Span<uint>(ref address.sin_addr)), out _);
            MemoryMarshal.Write(result.Buffer, in address);
            return result.WithLength(Unsafe.SizeOf<sockaddr_in>());
        }

        sockaddr_in6 address6 = default;
        address6.sin6_family = LibC.AF_INET6;
        address6.sin6_port = ToNetworkOrder((ushort)endPoint.Port);
        address6.sin6_scope_id = (uint)endPoint.Address.ScopeId;
        MemoryMarshal.Write(result.Buffer, in address6);
        endPoint.Address.TryWriteBytes(result.Buffer.Slice(Address6Offset, Address6Length), out _);
        return result.WithLength(Unsafe.SizeOf<sockaddr_in6>());
    }

    /// <summary>What the kernel gave, which may be longer than what is kept of it.</summary>
    internal static SocketAddressBytes FromKernel(ReadOnlySpan<byte> address)
    {
        SocketAddressBytes result = default;
        address[..Math.Min(address.Length, Unsafe.SizeOf<Storage>())].CopyTo(result.Buffer);
        return result.WithLength(address.Length);
    }

    /// <summary>Whose address it is. False: it is none of IP.</summary>
    internal readonly bool TryGetNetwork(out NetworkKey network)
    {
        ReadOnlySpan<byte> bytes = Bytes;
        ushort family = Family;
        network = default;
        if (family == LibC.AF_INET && bytes.Length >= Unsafe.SizeOf<sockaddr_in>())
        {
            network = new NetworkKey(MemoryMarshal.Read<sockaddr_in>(bytes).sin_addr, IsIPv6: false);
            return true;
        }

        if (family != LibC.AF_INET6 || bytes.Length < Unsafe.SizeOf<sockaddr_in6>())
        {
            return false;
        }

        ReadOnlySpan<byte> address = bytes.Slice(Address6Offset, Address6Length);
        network = address.StartsWith(MappedPrefix)
            ? new NetworkKey(MemoryMarshal.Read<uint>(address[MappedPrefix.Length..]), IsIPv6: false)
            : new NetworkKey(MemoryMarshal.Read<ulong>(address), IsIPv6: true);
        return true;
    }

    /// <summary>The end point; a Unix one without its name. Null when the address is of another family or missing.</summary>
    internal readonly EndPoint? ToEndPoint()
    {
        ReadOnlySpan<byte> bytes = Bytes;
        ushort family = Family;
        if (family == LibC.AF_INET && bytes.Length >= Unsafe.SizeOf<sockaddr_in>())
        {
            sockaddr_in address = MemoryMarshal.Read<sockaddr_in>(bytes);
            return new IPEndPoint(new IPAddress(address.sin_addr), ToNetworkOrder(address.sin_port));
        }

        if (family == LibC.AF_INET6 && bytes.Length >= Unsafe.SizeOf<sockaddr_in6>())
        {
            sockaddr_in6 address = MemoryMarshal.Read<sockaddr_in6>(bytes);
            ReadOnlySpan<byte> octets = bytes.Slice(Address6Offset, Address6Length);
            return new IPEndPoint(new IPAddress(octets, address.sin6_scope_id), ToNetworkOrder(address.sin6_port));
        }

        return family == LibC.AF_UNIX ? SocketAddresses.UnnamedUnix : null;
    }

    // Its own inverse.
    private static ushort ToNetworkOrder(ushort value) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    // sizeof(sockaddr_in6), the larger of the two.
    [InlineArray(28)]
    private struct Storage
    {
        private byte _first;
    }
}
