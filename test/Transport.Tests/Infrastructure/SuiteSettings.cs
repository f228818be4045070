using System.Globalization;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// What the transport is set to where a test says nothing. The program is run several times, each time with other settings: the environment
/// variables <c>NETPOLL_TEST_ApplicationScheduling</c> and <c>NETPOLL_TEST_WorkerGroupCount</c>, which <c>OtherModes.targets</c> and
/// <c>repeat.sh</c> set, and <c>NETPOLL_TEST_Backend</c>. A test that is only true for one setting makes it itself, and is marked with
/// <see cref="OneModeAttribute"/>.
/// </summary>
internal static class SuiteSettings
{
    internal static readonly ApplicationScheduling Scheduling =
        Enum.Parse<ApplicationScheduling>(Read(nameof(NetpollTransportOptions.ApplicationScheduling)) ?? nameof(ApplicationScheduling.Workers));

    internal static readonly int Groups =
        int.Parse(Read(nameof(NetpollTransportOptions.WorkerGroupCount)) ?? "1", CultureInfo.InvariantCulture);

    internal static readonly NetpollBackend Backend =
        Enum.Parse<NetpollBackend>(Read(nameof(NetpollTransportOptions.Backend)) ?? nameof(NetpollBackend.Auto));

    /// <summary>For engines without a transport.</summary>
    internal static PollerBackend EngineBackend => new NetpollTransportOptions { Backend = Backend }.EffectiveBackend;

    /// <summary>As the transport calls it.</summary>
    internal static string BackendName => PollerBackends.NameOf(EngineBackend);

    /// <summary>For tests that block a worker: the connection's group must have another.</summary>
    internal static int TwoWorkersForEachGroup => 2 * Groups;

    /// <summary>Before the test sets anything.</summary>
    internal static void Begin(NetpollTransportOptions options)
    {
        options.ApplicationScheduling = Scheduling;
        options.Backend = Backend;
        options.WorkerCount = Math.Max(options.WorkerCount, Groups);
    }

    /// <summary>After the test has set what it wants: there cannot be more groups than workers.</summary>
    internal static void Complete(NetpollTransportOptions options)
    {
        if (options.WorkerGroupCount is null)
        {
            options.WorkerGroupCount = Math.Clamp(options.WorkerCount, 1, Groups);
        }
    }

    private static string? Read(string name) => Environment.GetEnvironmentVariable($"NETPOLL_TEST_{name}");
}
