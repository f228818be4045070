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

    /// <summary>Of another thread, as the monitor asks.</summary>
    [Theory]
    [InlineData(BlockageKind.Computing, true)]
    [InlineData(BlockageKind.Event, false)]
    public void A_thread_that_computes_is_told_from_one_that_waits(BlockageKind kind, bool computes)
    {
        const long Much = 20_000_000;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        BlockedTurnProbe probe = new(SystemCalls.Instance);
        using Blockage blockage = new(kind);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        Worker worker = runtime.Groups[0].Processors[0].Holder!;
        long before = probe.GetCpuTime(worker);
        Assert.NotEqual(0, before);
        if (computes)
        {
            Patience.Until(() => probe.GetCpuTime(worker) - before > Much, "it has computed for a while");
        }
        else
        {
            Thread.Sleep(50);
            Assert.InRange(probe.GetCpuTime(worker) - before, 0, Much);
        }
    }

    /// <summary>
    /// Which of the two sees it. The monitor would notice all of them in the end, as turns that last: without this test the quick ways could be
    /// broken and nothing but time would tell.
    /// </summary>
    [Theory]
    [InlineData(BlockageKind.Sleep, true, true)]
    [InlineData(BlockageKind.Lock, true, true)]
    [InlineData(BlockageKind.Task, true, true)]
    [InlineData(BlockageKind.Semaphore, true, true)]
    [InlineData(BlockageKind.Event, true, true)]
    [InlineData(BlockageKind.Monitor, true, true)]
    [InlineData(BlockageKind.KernelRead, false, true)]
    [InlineData(BlockageKind.KernelSocket, false, true)]
    [InlineData(BlockageKind.NativeSleep, false, true)]
    [InlineData(BlockageKind.Computing, false, false)]
    public void Waits_are_seen_for_what_they_are(BlockageKind kind, bool managed, bool kernel)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntimeWithoutHandOff(1, out _);
        BlockedTurnProbe probe = new(SystemCalls.Instance);
        using Blockage blockage = new(kind);
        runtime.Groups[0].Schedule(new CallbackTurn(blockage.Block));
        blockage.WaitUntilEntered();
        Worker worker = runtime.Groups[0].Processors[0].Holder!;

        // Some of them wait again and again, and are awake for a moment in between.
        Patience.Until(() => probe.IsInManagedWait(worker) == managed, managed ? "it is in a managed wait" : "it is in no managed wait");
        Patience.Until(() => probe.IsInKernelWait(worker) == kernel, kernel ? "it sleeps" : "it runs");
        for (int i = 0; i < 100; i++)
        {
            Assert.False(!managed && probe.IsInManagedWait(worker));
            Thread.Yield();
        }
    }

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
