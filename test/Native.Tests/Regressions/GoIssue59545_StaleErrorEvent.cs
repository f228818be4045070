using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// The race of golang/go#59545 made certain: an error event is fetched, its file is closed, the slot and the number are reused, and
/// only then is the event dispatched. The new file must not see it.
/// </summary>
public sealed class GoIssue59545_StaleErrorEvent
{
    private readonly SimulatedKernel _kernel = new();

    [Fact]
    public async Task A_file_does_not_inherit_the_error_of_the_slots_last_one()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, _kernel);
        NetpollFile device = NetpollFile.Open("device", FileAccess.ReadWrite, runtime);
        PollCookie old = device.Descriptor.Poll!.Cookie;
        int fd = device.Descriptor.Fd;
        NetpollFile? fifo = null;

        // On the worker, between fetching the event and dispatching it.
        _kernel.AfterFetch = fetched =>
        {
            if (fifo is null && fetched.Any(one => one.Cookie == old.Word))
            {
                device.Dispose();
                fifo = NetpollFile.Open("fifo", FileAccess.ReadWrite, runtime);
            }
        };
        _kernel.Raise(fd, LibC.EPOLLERR);
        Patience.Until(() => runtime.GetStatistics().Events == 1, "the event is fetched");
        runtime.WaitForTurn();

        // The circumstances are those of the bug: same number, same slot, another incarnation.
        Assert.Equal(fd, fifo!.Descriptor.Fd);
        Assert.Equal(old.Slot, fifo.Descriptor.Poll!.Slot);
        Assert.NotEqual(old.Fdseq, fifo.Descriptor.Poll.Info.Fdseq);

        _kernel.Change(_kernel.Find("fifo"), file => file.Feed("7 bytes"u8));
        byte[] buffer = new byte[7];
        Assert.Equal(7, await fifo.ReadAsync(buffer).InTime());
        Assert.Equal("7 bytes"u8, buffer);
        Assert.False(fifo.Descriptor.Poll.Info.Has(PollInfo.EventError));
        Assert.False(fifo.Descriptor.HangupSeen);
        Assert.Equal(1, runtime.GetStatistics().StaleEvents);
        fifo.Dispose();
    }

    /// <summary>The reader of the new file waits already when the old file's error arrives: it goes on waiting.</summary>
    [Fact]
    public async Task A_waiting_read_does_not_fail_with_the_error_of_the_slots_last_file()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, _kernel);
        NetpollFile device = NetpollFile.Open("device", FileAccess.ReadWrite, runtime);
        PollCookie old = device.Descriptor.Poll!.Cookie;
        await device.DisposeAsync();
        NetpollFile fifo = NetpollFile.Open("fifo", FileAccess.ReadWrite, runtime);
        byte[] buffer = new byte[1];
        ValueTask<int> reading = fifo.ReadAsync(buffer);

        _kernel.RaiseWithCookie(LibC.EPOLLERR, old.Word);
        Patience.Until(() => runtime.GetStatistics().Events == 1, "the event is fetched");
        runtime.WaitForTurn();
        Assert.False(reading.IsCompleted);

        _kernel.Change(_kernel.Find("fifo"), file => file.Feed(9));
        _kernel.Raise(fifo.Descriptor.Fd, LibC.EPOLLIN);
        Assert.Equal(1, await reading.InTime());
        Assert.Equal(9, buffer[0]);
        await fifo.DisposeAsync();
    }

    /// <summary>And the counterpart: the error of the file itself is reported, or a read would wait for ever.</summary>
    [Fact]
    public async Task A_file_sees_its_own_error()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, _kernel);
        using NetpollFile device = NetpollFile.Open("device", FileAccess.ReadWrite, runtime);
        ValueTask<int> reading = device.ReadAsync(new byte[1]);
        _kernel.Raise(device.Descriptor.Fd, LibC.EPOLLERR);
        await Assert.ThrowsAsync<NotPollableException>(() => reading.InTime());
        await Assert.ThrowsAsync<NotPollableException>(() => device.ReadAsync(new byte[1]).InTime());
    }

    /// <summary>The same for a socket, whose hang-up turn would otherwise end a stranger's connection.</summary>
    [Fact]
    public void A_socket_does_not_inherit_a_hangup()
    {
        using EngineByHand engine = new();
        StreamSocket first = engine.OpenSocket(out SimulatedFile file);
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLERR | LibC.EPOLLHUP | LibC.EPOLLRDHUP);
        PollEvent stale = Assert.Single(engine.Fetch());
        first.Close();

        CallbackTurn hangup = new();
        StreamSocket second = engine.OpenSocket(out _, hangup);
        Assert.Equal(stale.Cookie.Slot, second.Poll!.Slot);
        Assert.False(engine.Dispatch(stale));
        engine.RunToQuiescence();
        Assert.False(second.HangupSeen);
        Assert.Equal(0, hangup.Runs);
        second.Close();
    }
}
