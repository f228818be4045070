using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.ProxyProtocol;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

[OneMode]
public class TrustedPeersTests
{
    [Theory]
    [InlineData(true, "127.0.0.1", "127.0.0.0/8")]
    [InlineData(true, "127.255.255.255", "127.0.0.0/8")]
    [InlineData(false, "126.255.255.255", "127.0.0.0/8")]
    [InlineData(false, "128.0.0.0", "127.0.0.0/8")]
    [InlineData(true, "::ffff:127.0.0.1", "127.0.0.0/8")]
    [InlineData(false, "::ffff:128.0.0.1", "127.0.0.0/8")]
    [InlineData(false, "::127.0.0.1", "127.0.0.0/8")]
    [InlineData(true, "10.0.0.5", "::ffff:10.0.0.0/120")]
    [InlineData(true, "::ffff:10.0.0.5", "::ffff:10.0.0.0/120")]
    [InlineData(false, "10.0.1.5", "::ffff:10.0.0.0/120")]
    [InlineData(true, "10.0.0.5", "10.0.0.5/32")]
    [InlineData(false, "10.0.0.4", "10.0.0.5/32")]
    [InlineData(true, "255.255.255.255", "0.0.0.0/0")]
    [InlineData(true, "::ffff:1.2.3.4", "0.0.0.0/0")]
    [InlineData(false, "::1", "0.0.0.0/0")]
    [InlineData(false, "1.2.3.4", "::/0")]
    [InlineData(false, "::ffff:1.2.3.4", "::/0")]
    [InlineData(false, "::ffff:1.2.3.4", "::/64")]
    [InlineData(true, "2001:db8::1", "::/0")]
    [InlineData(true, "::1", "::1/128")]
    [InlineData(false, "::2", "::1/128")]
    [InlineData(true, "2001:db8:0:1::1", "2001:db8::/32")]
    [InlineData(false, "2001:db9::1", "2001:db8::/32")]
    [InlineData(true, "fe80::1%3", "fe80::/10")]
    [InlineData(true, "2001:db8::1", "10.0.0.0/8 2001:db8::/32")]
    [InlineData(true, "10.1.2.3", "2001:db8::/32 10.0.0.0/8")]
    [InlineData(false, "10.1.2.3", "")]
    public void A_peer_is_trusted_in_its_networks_however_its_address_is_seen(bool trusted, string address, string networks)
    {
        IEnumerable<IPNetwork> trustedNetworks =
            networks.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(static network => IPNetwork.Parse(network));
        var peers = new TrustedPeers(trustedNetworks, unixSockets: true);

        Assert.Equal(trusted, peers.Contain(new IPEndPoint(IPAddress.Parse(address), 1234)));
    }

    [Fact]
    public void Every_prefix_length_cuts_where_it_says()
    {
        foreach (string text in (string[])["170.85.170.85", "aaaa:5555:aaaa:5555:aaaa:5555:aaaa:5555"])
        {
            byte[] bytes = IPAddress.Parse(text).GetAddressBytes();
            for (int length = 0; length <= bytes.Length * 8; length++)
            {
                byte[] start = [.. bytes];
                for (int bit = length; bit < bytes.Length * 8; bit++)
                {
                    start[bit / 8] &= (byte)~(0x80 >> (bit % 8));
                }

                var peers = new TrustedPeers([new IPNetwork(new IPAddress(start), length)], unixSockets: true);
                for (int bit = 0; bit < bytes.Length * 8; bit++)
                {
                    byte[] other = [.. bytes];
                    other[bit / 8] ^= (byte)(0x80 >> (bit % 8));
                    Assert.Equal(bit >= length, peers.Contain(new IPEndPoint(new IPAddress(other), 1)));
                }

                Assert.True(peers.Contain(new IPEndPoint(new IPAddress(bytes), 1)));
            }
        }
    }

    [Fact]
    public void Others_than_IP_are_trusted_if_they_are_Unix_sockets_and_those_are_trusted()
    {
        var all = new TrustedPeers([IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0")], unixSockets: true);
        var internet = new TrustedPeers([IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0")], unixSockets: false);

        Assert.True(all.Contain(new UnixDomainSocketEndPoint("/run/x")));
        Assert.False(internet.Contain(new UnixDomainSocketEndPoint("/run/x")));
        Assert.False(all.Contain(new DnsEndPoint("localhost", 1)));
        Assert.False(all.Contain(null));
    }
}
