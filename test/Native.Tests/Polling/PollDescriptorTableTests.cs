using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class PollDescriptorTableTests
{
    private readonly PollDescriptorTable _table = new(new DeadlineHeap());

    [Fact]
    public void The_slot_freed_last_is_used_first()
    {
        PollDescriptor[] descriptors = [.. Enumerable.Range(0, 3).Select(_ => _table.Allocate(null))];
        Close(descriptors[0]);
        Close(descriptors[2]);

        Assert.Same(descriptors[2], _table.Allocate(null));
        Assert.Same(descriptors[0], _table.Allocate(null));
    }

    [Fact]
    public void Each_incarnation_has_another_fdseq_and_never_0()
    {
        HashSet<uint> seen = [];
        for (int i = 0; i < 1000; i++)
        {
            PollDescriptor descriptor = _table.Allocate(null);
            Assert.Equal(0u, descriptor.Slot);
            Assert.NotEqual(0u, descriptor.Info.Fdseq);
            Assert.True(seen.Add(descriptor.Info.Fdseq));
            Assert.Equal(descriptor.Info.Fdseq, descriptor.Cookie.Fdseq);
            Close(descriptor);
        }
    }

    [Fact]
    public void The_fdseq_has_moved_on_before_the_slot_can_be_reused()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        uint before = descriptor.Info.Fdseq;
        Close(descriptor);
        Assert.Equal(before + 1, descriptor.Info.Fdseq);
        Assert.True(descriptor.Info.Has(PollInfo.Closing));
    }

    [Fact]
    public void Slots_that_never_existed_are_not_found()
    {
        Assert.Null(_table.Find(0));
        PollDescriptor first = _table.Allocate(null);
        Assert.Same(first, _table.Find(0));
        Assert.NotNull(_table.Find((uint)_table.Capacity - 1));
        Assert.Null(_table.Find((uint)_table.Capacity));
        Assert.Null(_table.Find(uint.MaxValue));
    }

    [Fact]
    public void A_freed_slot_is_still_found()
    {
        PollDescriptor descriptor = _table.Allocate(null);
        Close(descriptor);
        Assert.Same(descriptor, _table.Find(descriptor.Slot));
    }

    [Fact]
    public void It_grows_to_100_000_slots_and_never_shrinks()
    {
        const int Slots = 100_000;
        PollDescriptor[] descriptors = new PollDescriptor[Slots];
        HashSet<uint> slots = [];
        for (int i = 0; i < Slots; i++)
        {
            descriptors[i] = _table.Allocate(null);
            Assert.True(slots.Add(descriptors[i].Slot));
            Assert.Same(descriptors[i], _table.Find(descriptors[i].Slot));
        }

        Assert.Equal(Slots, _table.OpenCount);
        int capacity = _table.Capacity;
        Assert.InRange(capacity, Slots, Slots + 256);

        foreach (PollDescriptor descriptor in descriptors)
        {
            Close(descriptor);
        }

        Assert.Equal(0, _table.OpenCount);
        Assert.Equal(capacity, _table.Capacity);
        Assert.All(descriptors, descriptor => Assert.Same(descriptor, _table.Find(descriptor.Slot)));
    }

    [Fact]
    public void Threads_never_share_a_slot()
    {
        int[] owners = new int[100_000];
        int collisions = 0;
        Thread[] threads = [.. Enumerable.Range(1, 4).Select(id => new Thread(() =>
        {
            Random random = new(id);
            Stack<PollDescriptor> mine = new();
            for (int i = 0; i < 50_000; i++)
            {
                if (mine.Count < 300 && random.Next(2) == 0)
                {
                    PollDescriptor descriptor = _table.Allocate(null);
                    if (Interlocked.Exchange(ref owners[descriptor.Slot], id) != 0)
                    {
                        Interlocked.Increment(ref collisions);
                    }

                    mine.Push(descriptor);
                }
                else if (mine.TryPop(out PollDescriptor? descriptor))
                {
                    Interlocked.Exchange(ref owners[descriptor.Slot], 0);
                    Close(descriptor);
                }
            }

            while (mine.TryPop(out PollDescriptor? descriptor))
            {
                Interlocked.Exchange(ref owners[descriptor.Slot], 0);
                Close(descriptor);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.JoinInTime());

        Assert.Equal(0, collisions);
        Assert.Equal(0, _table.OpenCount);
    }

    private void Close(PollDescriptor descriptor)
    {
        descriptor.Evict();
        _table.Release(descriptor);
    }
}
