using System.Globalization;
using System.Net;
using KestrelNetpoll.Transport;

namespace KestrelNetpoll.Samples;

/// <summary>What a sample says when it has started.</summary>
internal static class TransportLine
{
    /// <summary>What really happened, not what was asked for: the factory knows the endpoints that it serves.</summary>
    internal static string DescribeTransport(this WebApplication app)
    {
        string addresses = string.Join(", ", app.Urls);
        NetpollTransportFactory? netpoll = app.Services.GetService<NetpollTransportFactory>();
        IReadOnlyCollection<EndPoint> endPoints = netpoll?.EndPoints ?? [];
        if (netpoll is null || endPoints.Count == 0)
        {
            string because = netpoll?.UnsupportedReason is { } reason ? $" (netpoll cannot run here: {reason})" : "";
            return $"Transport: sockets{because}. Listening on {addresses}";
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"Transport: netpoll ({netpoll.Backend}, {netpoll.WorkerCount} workers) on {string.Join(" and ", endPoints)}. "
            + $"Listening on {addresses}");
    }
}
