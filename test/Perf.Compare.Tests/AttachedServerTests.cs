using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class AttachedServerTests
{
    [Fact]
    public void A_server_has_a_leg_an_address_and_ports_that_are_mapped()
    {
        AttachedServer server = AttachedServer.Parse("netpoll=http://127.0.0.1:8081,https=9443,echo=9007");

        Assert.Equal("netpoll", server.Leg);
        Assert.Equal("127.0.0.1", server.Host);
        Assert.Equal(8081, server.Port);
        Assert.Equal(9443, server.Ports["https"]);
        Assert.Equal(9007, server.Ports["echo"]);
    }

    [Theory]
    [InlineData("netpoll")]
    [InlineData("netpoll=127.0.0.1:8081")]
    [InlineData("netpoll=ftp://127.0.0.1:8081")]
    [InlineData("other=http://127.0.0.1:8081")]
    [InlineData("netpoll=http://127.0.0.1:8081,https")]
    [InlineData("netpoll=http://127.0.0.1:8081,https=x")]
    public void Anything_else_is_refused(string text)
    {
        Assert.Throws<FormatException>(() => AttachedServer.Parse(text));
    }
}
