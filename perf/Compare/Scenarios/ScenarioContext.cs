using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Servers;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>What scenarios need of the run that they are part of.</summary>
/// <param name="Seconds">How long a pass of load lasts.</param>
/// <param name="LoadThreads">How many threads make the load.</param>
/// <param name="IdleConnections">How many connections are held.</param>
/// <param name="Directory">A directory for what is made on the way.</param>
/// <param name="Generators">Who makes ordinary load.</param>
/// <param name="Programs">Our own load programs.</param>
/// <param name="PublishedServer">The measured application as one would deploy it.</param>
/// <param name="Limits">What the servers get of the machine.</param>
/// <param name="Companion">What runs beside the servers of the scenario; null: nothing.</param>
internal sealed record ScenarioContext(
    double Seconds,
    int LoadThreads,
    int IdleConnections,
    string Directory,
    LoadGenerators Generators,
    LoadPrograms Programs,
    PublishedServer PublishedServer,
    ServerLimits Limits,
    Companion? Companion = null);
