using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>How many workers there may be, by what is left. With 4 processors, 20 threads at least are for the rest of the process.</summary>
public sealed class WorkerHeadroomTests
{
    private readonly FakeResources _resources = new();
    private readonly WorkerHeadroom _headroom;

    public WorkerHeadroomTests() => _headroom = new WorkerHeadroom(_resources, processorCount: 4);

    [Theory]
    [InlineData(120, 20, 4, 4, 74)] // 100 are free, 30 of them are for others
    [InlineData(120, 70, 54, 4, 74)] // the same, with 50 workers more
    [InlineData(120, 90, 74, 4, 74)]
    [InlineData(120, 100, 74, 4, 64)] // others have taken 10
    [InlineData(60, 20, 4, 4, 24)] // 20 rather than a quarter
    [InlineData(100_000, 1000, 4, 4, 98_876)] // no more than 128
    [InlineData(30, 20, 4, 4, 6)] // a fifth of the 10 that are free
    [InlineData(30, 30, 4, 4, 4)]
    [InlineData(30, 60, 4, 4, 4)] // lowered
    [InlineData(30, 60, 34, 4, 4)]
    [InlineData(30, 60, 60, 50, 50)]
    public void A_part_of_the_threads_is_left_to_others(long limit, long used, int workers, int initial, int ceiling)
    {
        _resources.SetThreads(limit, used);
        WorkerAllowance allowance = _headroom.Read(workers, initial)!.Value;
        Assert.Equal(ceiling, allowance.Ceiling);
        Assert.Equal(ceiling <= workers, allowance.IsFull);
        Assert.False(allowance.IsMemory);
    }

    [Theory]
    [InlineData(300, 60, 4, 20)] // 165 MiB above the reserve of 75: 13 stacks fit into an eighth, so 16
    [InlineData(300, 224, 500, 508)] // one MiB above it: 8 of 128 KiB
    [InlineData(300, 225, 500, 500)] // at the reserve
    [InlineData(300, 235, 500, 420)] // 10 MiB below: 80 of 128 KiB fewer
    [InlineData(300, 290, 4, 20)] // 10 MiB are left to begin with: 2 of them are for workers
    [InlineData(300, 299, 4, 5)]
    [InlineData(300, 300, 4, 4)]
    [InlineData(16_384, 1024, 4, 1241)] // 14,848 MiB above the reserve of 512: an eighth has room for 1,237 stacks
    [InlineData(100, 60, 4, 20)] // 32 MiB at least
    public void Memory_lets_a_few_start_before_it_is_looked_at_again(long limit, long used, int workers, int ceiling)
    {
        _resources.SetMemory(limit, used);
        WorkerAllowance allowance = _headroom.Read(workers, initial: 4)!.Value;
        Assert.Equal(ceiling, allowance.Ceiling);
        Assert.Equal(ceiling <= workers, allowance.IsFull);
        Assert.True(allowance.IsMemory);
    }

    /// <summary>Whatever each of them takes: those that are started between two looks are few as long as little is known.</summary>
    [Theory]
    [InlineData(0.15)]
    [InlineData(1.5)]
    public void Growing_step_by_step_leaves_memory_to_others(double each)
    {
        const int Limit = 300, Base = 60, Initial = 2;
        int workers = Initial;
        while (true)
        {
            double used = Base + ((workers - Initial) * each);
            Assert.InRange(used, 0, Limit - 40);
            _resources.Memory = new ResourceReading(Limit * FakeResources.Mebibyte, (long)(used * FakeResources.Mebibyte), "memory.max");
            WorkerAllowance allowance = _headroom.Read(workers, Initial)!.Value;
            if (allowance.IsFull)
            {
                break;
            }

            workers = allowance.Ceiling;
        }

        Assert.InRange(workers, 80, 2000);
    }

    [Fact]
    public void The_tighter_one_is_named()
    {
        _resources.SetThreads(120, 90);
        _resources.SetMemory(300, 100);
        WorkerAllowance allowance = _headroom.Read(70, 4)!.Value;
        Assert.Equal("90 of 120 threads (pids.max) are in use, 30 are left to the rest of the process", allowance.Describe());
        _resources.Threads = ResourceReading.Unlimited;
        _resources.SetMemory(300, 230);
        allowance = _headroom.Read(70, 4)!.Value;
        Assert.Equal("230 of 300 MiB of memory (memory.max) are in use, 62 MiB are left to the rest of the process", allowance.Describe());
    }

    [Fact]
    public void Where_there_is_no_limit_there_is_room() =>
        Assert.True(_headroom.Read(1000, 4)!.Value is { Ceiling: int.MaxValue, IsFull: false });

    [Fact]
    public void What_cannot_be_read_is_no_answer()
    {
        _resources.IsReadable = false;
        Assert.Null(_headroom.Read(4, 4));
    }
}
