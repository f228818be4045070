using BenchmarkDotNet.Attributes;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

namespace KestrelNetpoll.Perf.Microbenchmarks;

/// <summary>
/// What a new connection pays for its place in the poller: a slot is taken, evicted and freed, again and again the same one.
/// <see cref="Slot"/> is the table alone; <see cref="OpenAndClose"/> also registers a descriptor with epoll and takes it out. Compare with
/// the two epoll_ctl calls alone.
/// </summary>
public class SlotReuseBenchmarks
{
    private const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLET;

    private EpollPoller _poller = null!;
    private PollDescriptorTable _table = null!;
    private int _epoll;
    private int _registered;
    private int _other;

    [GlobalSetup]
    public void Setup()
    {
        _table = new PollDescriptorTable(new DeadlineHeap());
        _poller = new EpollPoller(SystemCalls.Instance, new DeadlineHeap(), EpollEventLayout.Current);
        _epoll = SystemCalls.Instance.EpollCreate().ThrowIfError("epoll_create1");
        (_registered, _other) = SocketPair.Open();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _poller.Dispose();
        SystemCalls.Instance.Close(_registered);
        SystemCalls.Instance.Close(_other);
        SystemCalls.Instance.Close(_epoll);
    }

    [Benchmark(Baseline = true)]
    public void SystemCallsOnly()
    {
        SystemCalls.Instance.EpollCtl(_epoll, LibC.EPOLL_CTL_ADD, _registered, Interest, data: 1).ThrowIfError("epoll_ctl");
        SystemCalls.Instance.EpollCtl(_epoll, LibC.EPOLL_CTL_DEL, _registered, events: 0, data: 0).ThrowIfError("epoll_ctl");
    }

    [Benchmark]
    public void OpenAndClose()
    {
        PollDescriptor? slot = null;
        Errno error = _poller.Open(_registered, hangupWaiter: null, ref slot);
        if (error != Errno.Success)
        {
            throw SystemErrors.ToIOException(error, "epoll_ctl");
        }

        slot!.Evict();
        _poller.Close(_registered, slot);
    }

    [Benchmark]
    public void Slot()
    {
        PollDescriptor slot = _table.Allocate(hangupWaiter: null);
        slot.Evict();
        _table.Release(slot);
    }
}
