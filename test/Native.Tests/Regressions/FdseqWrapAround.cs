using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// Go mirrors 20 bits of the fdseq, shifted by 16 into a 32-bit word: after 65,536 reuses of a slot the comparison fails for 15 of
/// 16 values, and the error of a file that cannot be polled is never recorded again. Ours is compared in full width.
/// </summary>
public sealed class FdseqWrapAround
{
    private readonly SimulatedKernel _kernel = new();

    public static TheoryData<int> Reuses => [65_535, 65_536, 70_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1];

    [Theory]
    [MemberData(nameof(Reuses))]
    public async Task After_many_reuses_of_a_slot_errors_count_and_stale_ones_do_not(int reuses)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, _kernel);
        PollDescriptorTable table = runtime.Groups[0].Poller.Table;
        for (int i = 0; i < reuses; i++)
        {
            PollDescriptor descriptor = table.Allocate(hangupWaiter: null);
            descriptor.Evict();
            table.Release(descriptor);
        }

        await AssertErrorsAreToldApartAsync(runtime);
    }

    [Theory]
    [InlineData(0xFFFF_FFFEu)]
    [InlineData(0xFFFF_FFFFu)]
    [InlineData(0x7FFF_FFFFu)]
    [InlineData(0x00FF_FFFFu)]
    public async Task Around_the_ends_of_the_fdseq_too(uint fdseq)
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, _kernel);
        StartAt(runtime.Groups[0].Poller.Table, fdseq);
        await AssertErrorsAreToldApartAsync(runtime);
    }

    [Fact]
    public void The_fdseq_after_the_last_one_is_1()
    {
        PollDescriptorTable table = new(new DeadlineHeap());
        StartAt(table, uint.MaxValue - 1);
        List<uint> fdseqs = [];
        for (int i = 0; i < 5; i++)
        {
            PollDescriptor descriptor = table.Allocate(null);
            fdseqs.Add(descriptor.Info.Fdseq);
            descriptor.Evict();
            table.Release(descriptor);
        }

        Assert.Equal([uint.MaxValue - 1, uint.MaxValue, 1, 2, 3], fdseqs);
    }

    /// <summary>Each narrower mirror would take one of these for the current incarnation.</summary>
    [Fact]
    public void Fdseqs_that_agree_in_their_low_bits_are_told_apart()
    {
        PollDescriptorTable table = new(new DeadlineHeap());
        StartAt(table, 0x8765_4321);
        PollDescriptor descriptor = table.Allocate(null);
        for (int bit = 0; bit < 32; bit++)
        {
            Assert.False(descriptor.OnEvent(0x8765_4321u ^ (1u << bit), (PollReadiness)15, new ReadyList(1)));
        }

        Assert.Equal(0ul, descriptor.Info.Word & uint.MaxValue);
        Assert.True(descriptor.OnEvent(0x8765_4321u, (PollReadiness)15, new ReadyList(1)));
        Assert.True(descriptor.Info.Has(PollInfo.EventError));
    }

    private async Task AssertErrorsAreToldApartAsync(NetpollRuntime runtime)
    {
        long events = 0;
        void Raise(PollCookie cookie)
        {
            events++;
            _kernel.RaiseWithCookie(LibC.EPOLLERR, cookie.Word);
            Patience.Until(() => runtime.GetStatistics().Events == events, "the event is fetched");
            runtime.WaitForTurn();
        }

        NetpollFile device = NetpollFile.Open("device", FileAccess.ReadWrite, runtime);
        PollCookie genuine = device.Descriptor.Poll!.Cookie;
        Assert.Equal(0u, genuine.Slot);
        Raise(genuine);
        await Assert.ThrowsAsync<NotPollableException>(() => device.ReadAsync(new byte[1]).InTime());
        await device.DisposeAsync();

        NetpollFile fifo = NetpollFile.Open("fifo", FileAccess.ReadWrite, runtime);
        PollCookie current = fifo.Descriptor.Poll!.Cookie;
        Assert.Equal(genuine.Slot, current.Slot);
        _kernel.Find("fifo").Feed(1, 2, 3);
        Raise(genuine);
        foreach (uint distance in (uint[])[1u << 16, 1u << 20, 1u << 24])
        {
            Raise(PollCookie.Create(current.Fdseq - distance, current.Slot));
        }

        Assert.Equal(3, await fifo.ReadAsync(new byte[8]).InTime());
        Assert.Equal(4, runtime.GetStatistics().StaleEvents);
        Raise(current);
        await Assert.ThrowsAsync<NotPollableException>(() => fifo.ReadAsync(new byte[1]).InTime());
        await fifo.DisposeAsync();
    }

    // The slot that is next in line begins its next life with this fdseq.
    private static void StartAt(PollDescriptorTable table, uint fdseq)
    {
        PollDescriptor descriptor = table.Allocate(null);
        descriptor.Evict();
        table.Release(descriptor);
        PollDescriptorFields.InfoWord(descriptor) = PollInfo.Create(fdseq, PollInfo.Closing).Word;
    }
}
