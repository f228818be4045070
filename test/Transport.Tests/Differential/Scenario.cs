using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>What of an <see cref="Observation"/> is meant.</summary>
[Flags]
internal enum Aspects
{
    None = 0,

    /// <summary>The bytes that each client received, and how its connection ended.</summary>
    Client = 1,

    /// <summary>What the application noted.</summary>
    App = 2,

    /// <summary>The ids of the transport's own events.</summary>
    TransportLog = 4,

    /// <summary>Everything above Debug, whoever logged it.</summary>
    LoudLog = 8,
}

/// <summary>An application and the script of its clients; <see cref="Comparison"/> plays it once on each transport.</summary>
internal sealed class Scenario
{
    internal Action<TestServerSetup>? Server { get; init; }

    /// <summary>The application; or else <see cref="Connection"/>, without HTTP.</summary>
    internal Func<HttpContext, Stage, Task>? App { get; init; }

    internal Func<ConnectionContext, Stage, Task>? Connection { get; init; }

    internal required Func<Stage, Task> Client { get; init; }

    /// <summary>Must hold on both transports: two observations of nothing would be equal too.</summary>
    internal required Action<Observation> OnBoth { get; init; }

    /// <summary>Must hold on ours, where <see cref="Differs"/> leaves out the comparison.</summary>
    internal Action<Observation>? OnNetpoll { get; init; }

    /// <summary>What is not compared, because Sockets does worse or depends on timing there. The scenario says why.</summary>
    internal Aspects Differs { get; init; }
}
