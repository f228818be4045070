namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>A server behind the measured one, always on the Sockets transport, so that only what is in front of it differs.</summary>
internal sealed class UpstreamServer : Companion
{
    private readonly ServerProcess _process;

    private UpstreamServer(ServerProcess process) => _process = process;

    internal override IReadOnlyList<string> ServerArguments =>
        ["--upstream", FormattableString.Invariant($"http://{ServerProcess.Host}:{_process.Port("http1")}")];

    /// <param name="directory">For the files of the process.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    internal static async Task<UpstreamServer> StartAsync(string directory, CancellationToken cancellationToken) => new(
        await ServerProcess.StartAsync(
            launcher: [], ServerProcess.Apps, ["--transport", Leg.Sockets, "--app", "minimal", "--data", directory], cancellationToken));

    public override ValueTask DisposeAsync() => _process.DisposeAsync();
}
