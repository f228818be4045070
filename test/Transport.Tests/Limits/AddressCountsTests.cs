using System.Net;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Limits;

[OneMode]
public class AddressCountsTests
{
    [Theory]
    [InlineData("10.1.2.3", "10.1.2.3", true)]
    [InlineData("10.1.2.3", "10.1.2.4", false)]
    [InlineData("10.1.2.3", "::ffff:10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", "::ffff:10.1.2.4", false)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("::1", "::2", true)]
    [InlineData("::1", "0.0.0.1", false)]
    [InlineData("fe80::1", "fe80::1", true)]
    [InlineData("fe80::1", "fe80::2", false)]
    [InlineData("febf::1", "febf::2", false)]
    [InlineData("fec0::1", "fec0::2", true)]
    [InlineData("64:ff9b::10.1.2.3", "64:ff9b::10.1.2.4", false)]
    [InlineData("64:ff9b::10.1.2.3", "10.1.2.3", true)]
    [InlineData("64:ff9b:0:0:1::1", "64:ff9b::1:0:0:2", true)]
    public void A_client_is_an_IPv4_address_or_a_network_of_IPv6_or_a_neighbour(string one, string other, bool same) =>
        Assert.Equal(same, NetworkOf(one) == NetworkOf(other));

    [Fact]
    public void A_Unix_client_is_none_nor_is_one_without_an_address()
    {
        Assert.Null(default(SocketAddressBytes).Network);
        Assert.Null(SocketAddressBytes.FromKernel([(byte)LibC.AF_UNIX, 0]).Network);
    }

    [Fact]
    public void A_client_gets_its_place_back()
    {
        var counts = new AddressCounts(limit: 2);
        NetworkKey one = NetworkOf("10.0.0.1");

        Assert.True(counts.TryAdd(one));
        Assert.True(counts.TryAdd(one));
        Assert.False(counts.TryAdd(one));
        Assert.True(counts.TryAdd(NetworkOf("10.0.0.2")));
        counts.Remove(one);
        Assert.True(counts.TryAdd(one));
        Assert.False(counts.TryAdd(one));
        counts.Remove(one);
        counts.Remove(one);
        counts.Remove(NetworkOf("10.0.0.2"));

        Assert.Equal(0, counts.Count);
    }

    private static NetworkKey NetworkOf(string address) =>
        Assert.NotNull(SocketAddressBytes.From(new IPEndPoint(IPAddress.Parse(address), 1)).Network);
}
