using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Server;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>The measured application, started for the purpose or found running.</summary>
internal sealed class HttpServer : MeasuredServer
{
    private const string Http = "http1";
    private const string Unix = "unix";

    private readonly ServerProcess? _process;
    private readonly ServerClient _client;
    private readonly Dictionary<string, int> _ports;

    private HttpServer(
        string transport, string host, ServerProcess? process, ServerClient client, Dictionary<string, int> ports, string? unixPath)
    {
        Transport = transport;
        Host = host;
        UnixPath = unixPath;
        _process = process;
        _client = client;
        _ports = ports;
    }

    internal override string Transport { get; }

    internal override string Host { get; }

    internal override string? UnixPath { get; }

    internal override int? LocalPid => _process?.Pid;

    /// <exception cref="LoadException">It does not start, or runs on another transport than the leg claims.</exception>
    internal static async Task<HttpServer> OpenAsync(
        Leg leg, IReadOnlyList<string> launcher, string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        if (leg.Attached is { } attached)
        {
            return await ConnectAsync(leg, attached.Host, attached.Port, process: null, cancellationToken);
        }

        ServerProcess process = await ServerProcess.StartAsync(
            launcher, program, [.. leg.Arguments, .. arguments], cancellationToken);
        try
        {
            return await ConnectAsync(leg, ServerProcess.Host, process.Port(Http), process, cancellationToken);
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    internal override int Port(string endpoint) => _ports.TryGetValue(endpoint, out int port)
        ? port
        : throw new LoadException($"The {Transport} server has no endpoint '{endpoint}'.");

    internal override Task<ProcessUsage> ReadUsageAsync(bool collect, bool resetPeak, CancellationToken cancellationToken) =>
        _client.GetUsageAsync(collect, resetPeak, cancellationToken);

    public override async ValueTask DisposeAsync()
    {
        _client.Dispose();
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }
    }

    private static async Task<HttpServer> ConnectAsync(
        Leg leg, string host, int port, ServerProcess? process, CancellationToken cancellationToken)
    {
        var client = new ServerClient(host, port);
        try
        {
            // What really serves, not what was asked for.
            string transport = await client.GetTransportAsync(cancellationToken);
            if (transport != leg.Transport)
            {
                throw new LoadException($"The server of {leg.Name} runs on {transport}.");
            }

            EndpointAnswer[] endpoints = await client.GetEndpointsAsync(cancellationToken);
            Dictionary<string, int> ports = endpoints.Where(static endpoint => endpoint.Port is not null)
                .ToDictionary(static endpoint => endpoint.Name, static endpoint => endpoint.Port!.Value);
            ports[Http] = port;
            foreach ((string name, int mapped) in leg.Attached?.Ports ?? new Dictionary<string, int>())
            {
                ports[name] = mapped;
            }

            string? unixPath = endpoints.FirstOrDefault(static endpoint => endpoint.Name == Unix)?.Path;
            return new HttpServer(transport, host, process, client, ports, unixPath);
        }
        catch (HttpRequestException e)
        {
            client.Dispose();
            throw new LoadException($"The server of {leg.Name} at {host}:{port} does not answer: {e.Message}");
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }
}
