using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>A server that runs already: <c>netpoll=http://HOST:PORT[,https=PORT][,echo=PORT]</c>.</summary>
/// <param name="Leg">The leg that it is, and the transport it must run on.</param>
/// <param name="Host">Its IPv4 address: the load programs resolve no names.</param>
/// <param name="Port">The port of HTTP/1.1.</param>
/// <param name="Ports">Ports that are reached under another number than the server knows them by.</param>
internal sealed record AttachedServer(string Leg, string Host, int Port, IReadOnlyDictionary<string, int> Ports)
{
    /// <exception cref="FormatException">The text is none of these; the message is for the user.</exception>
    internal static AttachedServer Parse(string text)
    {
        string[] fields = text.Split(',');
        (string leg, string address) = SplitPair(fields[0]);
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || uri.Scheme != Uri.UriSchemeHttp)
        {
            throw new FormatException($"'{text}': a server is given as LEG=http://HOST:PORT[,https=PORT][,echo=PORT].");
        }

        return Servers.Leg.Names.Contains(leg)
            ? new AttachedServer(leg, Resolve(uri.DnsSafeHost), uri.Port, fields.Skip(1).Select(SplitPair).ToDictionary(
                static pair => pair.Name,
                static pair => int.Parse(pair.Value, NumberStyles.None, CultureInfo.InvariantCulture)))
            : throw new FormatException($"'{leg}' is no leg; there are {string.Join(", ", Servers.Leg.Names)}.");
    }

    private static string Resolve(string host)
    {
        try
        {
            return Dns.GetHostAddresses(host, AddressFamily.InterNetwork)[0].ToString();
        }
        catch (SocketException e)
        {
            throw new FormatException($"'{host}' has no IPv4 address: {e.Message}", e);
        }
    }

    private static (string Name, string Value) SplitPair(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals > 0
            ? (text[..equals], text[(equals + 1)..])
            : throw new FormatException($"'{text}' is not NAME=VALUE.");
    }
}
