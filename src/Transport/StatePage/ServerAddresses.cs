using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>Tells by which transport an address of the server is served.</summary>
internal static class ServerAddresses
{
    internal const string Netpoll = "netpoll";
    internal const string Another = "another transport";

    private const string Separator = "://";
    private const string Unix = "unix:";
    private const string Localhost = "localhost:";

    /// <param name="address">As Kestrel names it, such as <c>http://[::]:5000</c>, <c>http://unix:/run/x.sock</c>.</param>
    /// <param name="endPoints">Those that netpoll serves.</param>
    internal static string ServedBy(string address, IEnumerable<EndPoint> endPoints)
    {
        int scheme = address.IndexOf(Separator, StringComparison.Ordinal);
        string name = address[(scheme < 0 ? 0 : scheme + Separator.Length)..];
        return endPoints.Any(endPoint => IsNamed(endPoint, name)) ? Netpoll : Another;
    }

    private static bool IsNamed(EndPoint endPoint, string name) => endPoint switch
    {
        IPEndPoint ip => name == ip.ToString() || (IPAddress.IsLoopback(ip.Address) && name == $"{Localhost}{ip.Port}"),
        UnixDomainSocketEndPoint unix => name == $"{Unix}{unix}",
        _ => false,
    };
}
