using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>A raw echo on each transport, beside a C program that can do nothing else: what is left is what the transport costs.</summary>
internal sealed class EchoScenario : LoadScenario
{
    private const string Source = "echo/epoll_echo.c";

    internal override bool WorksAttached => false;

    internal override IReadOnlyList<string> OwnLegs => [Leg.CEpoll];

    internal override async Task<MeasuredServer> OpenServerAsync(ScenarioContext context, Leg leg, CancellationToken cancellationToken)
    {
        if (leg.Name != Leg.CEpoll)
        {
            return await base.OpenServerAsync(context, leg, cancellationToken);
        }

        string program = await context.Programs.GetAsync(Source, withTls: false, cancellationToken);
        return new EpollServer(await ServerProcess.StartAsync(context.Limits.Launcher, program, [], cancellationToken));
    }
}
