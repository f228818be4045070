using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>Over a simulated kernel, with the structs of one system.</summary>
public abstract class KqueueContractTests : PollerContractTests
{
    private protected abstract KeventLayout Layout { get; }

    private protected override Poller Create(SystemCalls systemCalls, DeadlineHeap deadlines) =>
        new KqueuePoller(new SimulatedKqueue(Layout), systemCalls, deadlines);
}

public sealed class DarwinContractTests : KqueueContractTests
{
    private protected override KeventLayout Layout => KeventLayout.Darwin;
}

public sealed class FreeBsdContractTests : KqueueContractTests
{
    private protected override KeventLayout Layout => KeventLayout.FreeBsd;
}

public sealed class NetBsdContractTests : KqueueContractTests
{
    private protected override KeventLayout Layout => KeventLayout.NetBsd;
}

public sealed class OpenBsdContractTests : KqueueContractTests
{
    private protected override KeventLayout Layout => KeventLayout.OpenBsd;
}
