using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class BlockedTurnProbeTests
{
    [Theory]
    [InlineData("12 (name) S 1 2", true)]
    [InlineData("12 (name) D 1 2", true)]
    [InlineData("12 (name) R 1 2", false)]
    [InlineData("12 (name) Z 1 2", false)]
    [InlineData("12 () S", true)]
    [InlineData("12 () S) R) S 1", true)]
    [InlineData("12 () S) R 1", false)]
    [InlineData("12 (name) ", false)]
    [InlineData("12 (name)", false)]
    [InlineData("12 (na", false)]
    [InlineData("", false)]
    public void The_state_is_the_letter_behind_the_name(string stat, bool sleeping) =>
        Assert.Equal(sleeping, BlockedTurnProbe.IsSleeping(System.Text.Encoding.UTF8.GetBytes(stat)));

    /// <summary>The monitor asks as often as every 50 µs.</summary>
    [Fact]
    public void Asking_the_kernel_about_a_worker_again_allocates_nothing()
    {
        const int Looks = 100;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        BlockedTurnProbe probe = new(SystemCalls.Instance);
        using Blockage blockage = new(BlockageKind.KernelRead);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        Worker worker = runtime.Groups[0].Processors[0].Holder!;
        Patience.Until(() => probe.IsInKernelWait(worker), "the worker sleeps in the kernel");

        int asleep = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Looks; i++)
        {
            asleep += probe.IsInKernelWait(worker) ? 1 : 0;
        }

        Assert.Equal((0L, Looks), (GC.GetAllocatedBytesForCurrentThread() - before, asleep));
    }
}
