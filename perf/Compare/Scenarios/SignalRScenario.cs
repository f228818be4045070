using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>Clients of a SignalR hub. What counts as a request is a call that is answered, or a message that has arrived.</summary>
internal sealed class SignalRScenario : AppScenario
{
    /// <summary>Gets whether messages go to all, rather than an answer to each who calls.</summary>
    internal bool IsBroadcast { get; init; }

    internal override bool CanBeCounted => false;

    internal override string GetGeneratorName(ScenarioContext context) => "Microsoft.AspNetCore.SignalR.Client";

    internal override Task<string?> DescribeAnswerAsync(
        ScenarioContext context, MeasuredServer server, CancellationToken cancellationToken) => Task.FromResult<string?>(null);

    internal override async Task<PassFigures> MeasureAsync(
        ScenarioContext context, Leg leg, MeasuredServer? server, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(server);
        string authority = FormattableString.Invariant($"{server.Host}:{server.Port("http1")}");
        await using SignalRLoad load = await SignalRLoad.ConnectAsync(authority, Connections ?? 1, cancellationToken);
        return await LoadFigures.MeasureAsync(
            server,
            () => IsBroadcast
                ? load.BroadcastAsync(context.Seconds, cancellationToken)
                : load.InvokeAsync(context.Seconds, cancellationToken),
            cancellationToken);
    }
}
