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
    private Storage _bytes;
    private int _length;

    /// <summary>A Unix address with a name, which did not fit: whoever wants it has to ask the kernel.</summary>
    internal readonly bool IsNamedUnix => _length > sizeof(ushort) && Family == LibC.AF_UNIX;

    internal readonly bool IsIp => Family == LibC.AF_INET || Family == LibC.AF_INET6;

    internal readonly bool IsUnix => Family == LibC.AF_UNIX;

    private readonly int Family => _length < sizeof(ushort) ? LibC.AF_UNSPEC : MemoryMarshal.Read<ushort>(Bytes);

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
        return result.WithLength(InternetAddress.Write(endPoint, result.Buffer));
    }

    /// <summary>What the kernel gave, which may be longer than what is kept of it.</summary>
    internal static SocketAddressBytes FromKernel(ReadOnlySpan<byte> address)
    {
        SocketAddressBytes result = default;
        address[..Math.Min(address.Length, Unsafe.SizeOf<Storage>())].CopyTo(result.Buffer);
        return result.WithLength(address.Length);
    }

    /// <summary>Whose address it is; null: it is none of IP.</summary>
    internal readonly NetworkKey? Network =>
        InternetAddress.TryReadNetwork(Bytes, out ulong bits, out ulong moreBits, out bool isIPv6)
            ? new NetworkKey(bits, moreBits, isIPv6)
            : null;

    /// <summary>The end point; a Unix one without its name. Null when the address is of another family or missing.</summary>
    internal readonly EndPoint? ToEndPoint() => InternetAddress.Read(Bytes) ?? (IsUnix ? SocketAddresses.UnnamedUnix : null);

    [InlineArray(InternetAddress.MaxLength)]
    private struct Storage
    {
        private byte _first;
    }
}
