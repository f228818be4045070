using System.Net;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Endpoints of a <see cref="TestServer"/> that the configuration has, on loopback addresses but the server's own.</summary>
internal static class ConfiguredEndpoints
{
    private const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    internal static void Add(TestServerSetup setup, string name, string address, params (string Key, string Value)[] settings)
    {
        setup.Configuration[$"Kestrel:Endpoints:{name}:Url"] = $"http://{address}:0";
        foreach ((string key, string value) in settings)
        {
            setup.Configuration[$"Kestrel:Endpoints:{name}:{key}"] = value;
        }
    }

    internal static Task AnswerTransport(HttpContext context) =>
        context.Response.WriteAsync(context.Features.Get<INetpollTransportFeature>()?.Transport ?? "sockets");

    /// <summary>A copy: Kestrel changes the collection while it binds.</summary>
    internal static string[] AddressesOf(TestServer server)
    {
        while (true)
        {
            try
            {
                return [.. server.Addresses.Where(static address => new Uri(address).Host != "127.0.0.1")];
            }
            catch (InvalidOperationException)
            {
            }
        }
    }

    /// <summary>Address, transport, and on netpoll the length of the queue, of each; the application is <see cref="AnswerTransport"/>.</summary>
    internal static async Task<string[]> DescribeAsync(TestServer server)
    {
        var descriptions = new List<string>();
        foreach (Uri address in AddressesOf(server).Select(static address => new Uri(address)))
        {
            var endPoint = new IPEndPoint(IPAddress.Parse(address.Host), address.Port);
            using RawClient client = await RawClient.ConnectAsync(endPoint);
            await client.SendAsync(Request);
            string transport = (await client.ReadResponseAsync()).Text;
            IEnumerable<string> limits = server.Factory!.GetAcceptQueues().Where(queue => queue.EndPoint.Equals(endPoint)).Take(1)
                .Select(static queue => $" {queue.Limit}");
            descriptions.Add($"{address.Host} {transport}{string.Concat(limits)}");
        }

        descriptions.Sort(StringComparer.Ordinal);
        return [.. descriptions];
    }
}
