using System.Net;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class SocketAddressBytesTests
{
    [Theory]
    [InlineData("127.0.0.1", 80)]
    [InlineData("0.0.0.0", 0)]
    [InlineData("255.255.255.255", 65535)]
    [InlineData("1.2.3.4", 258)]
    [InlineData("::1", 443)]
    [InlineData("::", 0)]
    [InlineData("2001:db8:1:2:3:4:5:6", 8080)]
    [InlineData("fe80::1%7", 1)]
    [InlineData("::ffff:10.0.0.1", 5000)]
    public void An_end_point_survives_the_kernels_form(string address, int port)
    {
        IPEndPoint endPoint = new(IPAddress.Parse(address), port);
        var bytes = SocketAddressBytes.From(endPoint);
        Assert.Equal(endPoint, bytes.ToEndPoint());
        Assert.Equal(endPoint.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 16 : 28, bytes.Bytes.Length);
    }

    [Fact]
    public void Its_bytes_are_those_of_the_framework()
    {
        foreach (string address in (string[])["192.168.1.2", "2001:db8::7"])
        {
            IPEndPoint endPoint = new(IPAddress.Parse(address), 4660);
            SocketAddress expected = endPoint.Serialize();
            Assert.Equal(expected.Buffer[..expected.Size].ToArray(), SocketAddressBytes.From(endPoint).Bytes.ToArray());
        }
    }

    [Fact]
    public void What_is_not_an_IP_address_is_no_end_point()
    {
        var bytes = default(SocketAddressBytes);
        Assert.Null(bytes.ToEndPoint());
        Assert.Null(bytes.WithLength(2).ToEndPoint());
        Assert.Null(bytes.WithLength(28).ToEndPoint());

        // Cut short by the kernel, or longer than the storage: never more than there is.
        SocketAddressBytes cut = SocketAddressBytes.From(new IPEndPoint(IPAddress.IPv6Loopback, 1)).WithLength(20);
        Assert.Null(cut.ToEndPoint());
        Assert.Equal(28, bytes.WithLength(110).Bytes.Length);
    }
}
