namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>An event as it lies in the kernel: the cookie is the one of the moment it was raised.</summary>
internal readonly record struct SimulatedEvent(int Fd, uint Events, ulong Cookie);

/// <summary>One epoll instance of the <see cref="SimulatedKernel"/>. Guarded by the kernel's lock.</summary>
internal sealed class SimulatedEpoll
{
    internal Dictionary<int, (uint Interest, ulong Cookie)> Registrations { get; } = [];

    internal List<SimulatedEvent> Pending { get; } = [];
}
