using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>Addresses as Kestrel binds them, spelled in one way, so that they can be compared.</summary>
internal static class EndpointAddresses
{
    /// <summary>
    /// All that Kestrel may bind for the URL of an endpoint: two addresses for localhost, and for all addresses those of IPv6 or, where
    /// that is missing, of IPv4. None: it cannot be bound, which Kestrel says itself, or it is none of ours.
    /// </summary>
    internal static string[] OfUrl(string? url)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url ?? "");
        }
        catch (FormatException)
        {
            return [];
        }

        return address.IsUnixPipe ? [OfUnix(address.UnixPipePath)]
            : address.IsNamedPipe || address.Port is < IPEndPoint.MinPort or > IPEndPoint.MaxPort ? []
            : IPAddress.TryParse(address.Host, out IPAddress? ip) ? [OfIP(ip, address.Port)]
            : IsLocalhost(address.Host) ? [OfIP(IPAddress.Loopback, address.Port), OfIP(IPAddress.IPv6Loopback, address.Port)]
            : [OfIP(IPAddress.IPv6Any, address.Port), OfIP(IPAddress.Any, address.Port)];
    }

    /// <summary>The address of an endpoint that is to be bound; null: no URL means it.</summary>
    internal static string? Of(EndPoint endPoint) => endPoint switch
    {
        IPEndPoint ip => OfIP(ip.Address, ip.Port),
        UnixDomainSocketEndPoint unix => OfUnix(unix.ToString()),
        _ => null,
    };

    private static string OfUnix(string path) => $"unix:{path}";

    private static string OfIP(IPAddress address, int port) => new IPEndPoint(address, port).ToString();

    private static bool IsLocalhost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
}
