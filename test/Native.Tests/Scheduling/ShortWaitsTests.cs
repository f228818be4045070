using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class ShortWaitsTests : IDisposable
{
    private readonly SimulatedKernel _kernel = new();
    private readonly ThreadLocal<Worker?> _current = new();
    private readonly EpollPoller _poller;
    private readonly FakeProbe _probe = new();
    private readonly ShortWaits _waits;
    private readonly Worker _worker;
    private long _now = 1;

    public ShortWaitsTests()
    {
        _poller = new EpollPoller(_kernel, new DeadlineHeap(), EpollEventLayout.Current);
        _worker = new Worker(Groups.CreateByHand(1, 1, _poller, _kernel, _current), "by hand", processor: null);
        _waits = new ShortWaits(_probe);
    }

    public void Dispose()
    {
        _poller.Dispose();
        _current.Dispose();
    }

    [Fact]
    public void Eight_short_ones_more_than_long_ones_make_the_difference()
    {
        for (int i = 0; i < ShortWaits.Most / 2; i++)
        {
            Assert.False(_waits.Prevail);
            Sample(isShort: true);
        }

        Assert.True(_waits.Prevail);
        Sample(isShort: false);
        Assert.False(_waits.Prevail);
        Sample(isShort: true);
        Assert.True(_waits.Prevail);
        _waits.OnLong();
        Assert.False(_waits.Prevail);
    }

    [Fact]
    public void However_many_there_were_a_few_of_the_other_kind_turn_it()
    {
        for (int i = 0; i < 1000; i++)
        {
            Sample(isShort: true);
        }

        for (int i = 0; i <= ShortWaits.Most / 2; i++)
        {
            Assert.True(_waits.Prevail);
            _waits.OnLong();
        }

        Assert.False(_waits.Prevail);
        for (int i = 0; i < 1000; i++)
        {
            _waits.OnLong();
        }

        for (int i = 0; i < ShortWaits.Most / 2; i++)
        {
            Assert.False(_waits.Prevail);
            Sample(isShort: true);
        }

        Assert.True(_waits.Prevail);
    }

    [Fact]
    public void A_sample_takes_a_millisecond_and_there_is_one_at_a_time()
    {
        for (int i = 0; i < ShortWaits.Most / 2; i++)
        {
            _probe.CpuTime = 100;
            _waits.OnHandedOff(_worker, 100, _now);
            _waits.OnHandedOff(_worker, 99, _now);
            _waits.Sample(_now + ShortWaits.ShortNanoseconds - 1);
            _probe.CpuTime = 101;
            _now += ShortWaits.ShortNanoseconds;
            _waits.Sample(_now);
            _waits.Sample(_now);
        }

        Assert.True(_waits.Prevail);
        Assert.Equal(ShortWaits.Most / 2, _probe.Asked);
    }

    [Fact]
    public void Where_the_kernel_does_not_say_nothing_is_concluded()
    {
        for (int i = 0; i < ShortWaits.Most; i++)
        {
            _probe.CpuTime = 0;
            _waits.OnHandedOff(_worker, 100, _now);
            _now += ShortWaits.ShortNanoseconds;
            _waits.Sample(_now);
            _waits.OnHandedOff(_worker, 0, _now);
            _probe.CpuTime = 5;
            _now += ShortWaits.ShortNanoseconds;
            _waits.Sample(_now);
        }

        Assert.False(_waits.Prevail);
    }

    private void Sample(bool isShort)
    {
        _waits.OnHandedOff(_worker, 100, _now);
        _now += ShortWaits.ShortNanoseconds;
        _probe.CpuTime = isShort ? 101 : 100;
        _waits.Sample(_now);
    }

    private sealed class FakeProbe() : BlockedTurnProbe(SystemCalls.Instance)
    {
        internal long CpuTime { get; set; }

        internal int Asked { get; private set; }

        internal override long GetCpuTime(Worker worker)
        {
            Asked++;
            return CpuTime;
        }
    }
}
