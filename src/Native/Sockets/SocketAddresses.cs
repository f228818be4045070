using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>End points of every family that is served, to and from the kernel's form.</summary>
internal static class SocketAddresses
{
    /// <summary>sizeof(struct sockaddr_un), the longest.</summary>
    internal const int MaxLength = 110;

    /// <summary>A Unix socket that was never bound, such as that of most clients.</summary>
    internal static readonly EndPoint UnnamedUnix = ParseUnix([(byte)LibC.AF_UNIX, 0]);

    internal static int DomainOf(EndPoint endPoint) => endPoint.AddressFamily switch
    {
        AddressFamily.InterNetwork => LibC.AF_INET,
        AddressFamily.InterNetworkV6 => LibC.AF_INET6,
        AddressFamily.Unix => LibC.AF_UNIX,
        _ => throw new ArgumentException($"{endPoint} is neither an IP nor a Unix domain end point.", nameof(endPoint)),
    };

    /// <summary>As bind and connect want it.</summary>
    internal static byte[] ToBytes(EndPoint endPoint)
    {
        if (endPoint is IPEndPoint ipEndPoint)
        {
            return SocketAddressBytes.From(ipEndPoint).Bytes.ToArray();
        }

        // The framework knows how a path, or an abstract name, is encoded.
        SocketAddress address = endPoint.Serialize();
        return address.Buffer[..address.Size].ToArray();
    }

    /// <summary>What getsockname or getpeername gave; null when it is of a family that is not served.</summary>
    internal static EndPoint? Parse(ReadOnlySpan<byte> address)
    {
        bool isUnix = address.Length >= sizeof(ushort) && MemoryMarshal.Read<ushort>(address) == LibC.AF_UNIX;
        return isUnix ? ParseUnix(address) : SocketAddressBytes.FromKernel(address).ToEndPoint();
    }

    private static EndPoint ParseUnix(ReadOnlySpan<byte> bytes)
    {
        var address = new SocketAddress(AddressFamily.Unix, bytes.Length);
        bytes.CopyTo(address.Buffer.Span);
        return new UnixDomainSocketEndPoint("/").Create(address);
    }
}
