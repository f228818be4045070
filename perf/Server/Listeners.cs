using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Perf.Server;

/// <summary>One endpoint as <c>/endpoints</c> reports it: a port, or the path of a Unix socket.</summary>
internal sealed record EndpointReport(string Name, int? Port, string? Path);

/// <summary>Where the server listens, under the names that the readiness line and <c>/endpoints</c> use.</summary>
internal sealed class Listeners
{
    private readonly List<(string Name, ListenOptions Options)> _all = [];

    internal int Count => _all.Count;

    internal void Configure(KestrelServerOptions kestrel, ServerArguments arguments, X509Certificate2? certificate)
    {
        void Listen(string name, int port, Action<ListenOptions> configure) =>
            kestrel.Listen(arguments.Address, port, options => Add(name, options, configure));

        string protocol = arguments.Protocols == HttpProtocols.Http2 ? "http2" : "http1";
        Listen(protocol, arguments.Port, options => options.Protocols = arguments.Protocols);
        if (arguments.Http1Port is { } http1Port)
        {
            Listen("http1", http1Port, static options => options.Protocols = HttpProtocols.Http1);
        }

        if (arguments.TlsPort is { } tlsPort && certificate is not null)
        {
            // A client that offers HTTP/2 gets it.
            Listen("https", tlsPort, options =>
            {
                options.Protocols = HttpProtocols.Http1AndHttp2;
                options.UseHttps(certificate);
            });
        }

        if (arguments.EchoPort is { } echoPort)
        {
            Listen("echo", echoPort, static options => options.UseConnectionHandler<EchoConnectionHandler>());
        }

        if (arguments.UnixPath is { } path)
        {
            kestrel.ListenUnixSocket(path, options => Add("unix", options, static unix => unix.Protocols = HttpProtocols.Http1));
        }
    }

    /// <summary>With the ports that the system chose: meaningful once the server has started.</summary>
    internal EndpointReport[] Report() =>
    [
        .. _all.Select(static listener =>
            new EndpointReport(listener.Name, listener.Options.IPEndPoint?.Port, listener.Options.SocketPath)),
    ];

    public override string ToString() => string.Join(' ', Report().Select(static endpoint =>
        $"{endpoint.Name}={endpoint.Path ?? endpoint.Port?.ToString(CultureInfo.InvariantCulture)}"));

    private void Add(string name, ListenOptions options, Action<ListenOptions> configure)
    {
        configure(options);
        _all.Add((name, options));
    }
}
