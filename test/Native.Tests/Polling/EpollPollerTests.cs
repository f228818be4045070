using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>Registration, waiting and life of the epoll backend, over a simulated kernel.</summary>
public sealed class EpollPollerTests
{
    private const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLET;

    private readonly SimulatedKernel _kernel = new();

    [Fact]
    public void A_descriptor_is_registered_once_for_everything()
    {
        using EpollPoller poller = CreatePoller();
        SimulatedFile file = _kernel.Create();
        PollDescriptor? descriptor = poller.Open(file.Fd, out Errno error);

        Assert.Equal(Errno.Success, error);
        Assert.Equal((Interest, descriptor!.Cookie.Word), _kernel.RegistrationOf(file.Fd));

        poller.EvictAndClose(file.Fd, descriptor);
        Assert.Null(_kernel.RegistrationOf(file.Fd));
        Assert.Equal(0, poller.Table.OpenCount);
    }

    /// <summary>Files have conditions of that kind that are told once, to whoever asks first.</summary>
    [Fact]
    public void Urgent_data_is_asked_for_on_connections_only()
    {
        using EngineByHand engine = new();
        StreamSocket socket = engine.OpenSocket(out SimulatedFile file);
        Assert.Equal(Interest | LibC.EPOLLPRI, engine.Kernel.RegistrationOf(file.Fd)!.Value.Interest);
        Assert.False(socket.UrgentSeen);
        Assert.True(socket.ShortReadDrains);

        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN | LibC.EPOLLPRI);
        engine.RunToQuiescence();
        engine.Kernel.Raise(file.Fd, LibC.EPOLLIN);
        engine.RunToQuiescence();
        Assert.True(socket.UrgentSeen);
        Assert.False(socket.ShortReadDrains);
        Assert.False(socket.HangupSeen);
        socket.Close();
    }

    [Theory]
    [InlineData((int)Errno.EPERM)]
    [InlineData((int)Errno.ENOSPC)]
    [InlineData((int)Errno.ENOMEM)]
    [InlineData((int)Errno.EEXIST)]
    public void A_registration_that_fails_gives_the_slot_back_and_moves_the_fdseq_on(int error)
    {
        using EpollPoller poller = CreatePoller();
        SimulatedFile file = _kernel.Create();
        PollDescriptor first = poller.Open(file.Fd, out _)!;
        poller.EvictAndClose(file.Fd, first);
        uint fdseq = first.Info.Fdseq;

        _kernel.RegistrationError = (Errno)error;
        Assert.Null(poller.Open(file.Fd, out Errno reported));

        Assert.Equal((Errno)error, reported);
        Assert.Equal(0, poller.Table.OpenCount);
        Assert.Equal(fdseq + 1, first.Info.Fdseq);

        _kernel.RegistrationError = Errno.Success;
        Assert.Same(first, poller.Open(file.Fd, out _));
    }

    [Theory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public void Events_are_read_in_either_layout(Architecture architecture)
    {
        using EpollPoller poller = new(_kernel, new DeadlineHeap(), EpollEventLayout.For(architecture));
        PollEventBatch batch = poller.CreateBatch(4);
        SimulatedFile[] files = [_kernel.Create(), _kernel.Create(), _kernel.Create()];
        PollDescriptor[] descriptors = [.. files.Select(file => poller.Open(file.Fd, out _)!)];
        _kernel.Raise(files[0].Fd, LibC.EPOLLIN);
        _kernel.Raise(files[1].Fd, LibC.EPOLLERR);
        _kernel.Raise(files[2].Fd, LibC.EPOLLOUT | LibC.EPOLLHUP);

        poller.Wait(batch, timeoutNanoseconds: -1);

        Assert.Equal(3, batch.Count);
        for (int i = 0; i < batch.Count; i++)
        {
            Assert.Equal(descriptors[i].Cookie, batch[i].Cookie);
        }

        Assert.Equal(EpollPoller.Translate(LibC.EPOLLIN), batch[0].Readiness);
        Assert.Equal(EpollPoller.Translate(LibC.EPOLLERR), batch[1].Readiness);
        Assert.Equal(EpollPoller.Translate(LibC.EPOLLOUT | LibC.EPOLLHUP), batch[2].Readiness);
    }

    [Fact]
    public void A_batch_takes_no_more_than_it_holds_and_forgets_the_last_wait()
    {
        using EpollPoller poller = CreatePoller();
        PollEventBatch batch = poller.CreateBatch(2);
        SimulatedFile file = _kernel.Create();
        poller.Open(file.Fd, out _);
        for (int i = 0; i < 3; i++)
        {
            _kernel.Raise(file.Fd, LibC.EPOLLIN);
        }

        poller.Wait(batch, 0);
        Assert.Equal(2, batch.Count);
        poller.Wait(batch, 0);
        Assert.Equal(1, batch.Count);
        poller.Wait(batch, 0);
        Assert.Equal(0, batch.Count);
    }

    [Fact]
    public void An_event_without_a_known_bit_is_skipped()
    {
        using EpollPoller poller = CreatePoller();
        PollEventBatch batch = poller.CreateBatch(2);
        _kernel.RaiseWithCookie(0, PollCookie.Create(1, 0).Word);
        poller.Wait(batch, 0);
        Assert.Equal(0, batch.Count);
    }

    [Fact]
    public void An_event_for_a_slot_that_never_existed_is_dropped()
    {
        using EpollPoller poller = CreatePoller();
        PollEvent stranger = new(PollCookie.Create(1, 1_000_000), PollReadiness.Readable);
        Assert.False(poller.Dispatch(in stranger, new ReadyList(1)));
    }

    [Theory]
    [InlineData((int)Errno.ENOSYS)]
    [InlineData((int)Errno.EPERM)]
    public void Without_epoll_pwait2_milliseconds_are_used_from_then_on(int error)
    {
        _kernel.Pwait2Error = (Errno)error;
        using EpollPoller poller = CreatePoller();
        PollEventBatch batch = poller.CreateBatch(1);

        poller.Wait(batch, 300_000);
        poller.Wait(batch, 1_000_001);
        poller.Wait(batch, 0);

        Assert.Equal([("epoll_pwait2", 300_000L), ("epoll_wait", 1), ("epoll_wait", 2), ("epoll_wait", 0)], _kernel.Waits);
    }

    [Fact]
    public void With_epoll_pwait2_nanoseconds_are_used_and_only_for_limited_waits()
    {
        using EpollPoller poller = CreatePoller();
        PollEventBatch batch = poller.CreateBatch(1);
        poller.Wake();

        poller.Wait(batch, -1);
        poller.Wait(batch, 300_000);
        poller.Wait(batch, 0);

        Assert.Equal([("epoll_wait", -1L), ("epoll_pwait2", 300_000), ("epoll_wait", 0)], _kernel.Waits);
    }

    [Fact]
    public void The_backend_stays_open_for_its_last_descriptor()
    {
        EpollPoller poller = CreatePoller();
        SimulatedFile file = _kernel.Create();
        PollDescriptor descriptor = poller.Open(file.Fd, out _)!;

        poller.Dispose();
        Assert.Equal(3, _kernel.OpenDescriptors);

        poller.EvictAndClose(file.Fd, descriptor);
        Assert.Equal(1, _kernel.OpenDescriptors);
        Assert.Throws<ObjectDisposedException>(() => poller.Open(file.Fd, out _));
    }

    /// <summary>The eventfd's number may belong to a stranger by then, who would find eight bytes in his file.</summary>
    [Fact]
    public void A_wake_up_after_the_end_touches_nothing()
    {
        EpollPoller poller = CreatePoller();
        poller.Dispose();
        poller.Wake();
        Assert.Equal(0, _kernel.EventFdWrites);
        Assert.Equal(0, _kernel.OpenDescriptors);
        Assert.Equal(0, _kernel.WritesToClosed);
    }

    [Theory]
    [InlineData("EpollCreateOnce", (int)Errno.EMFILE)]
    [InlineData("EventFdOnce", (int)Errno.ENFILE)]
    [InlineData("EpollCtlOnce", (int)Errno.ENOMEM)]
    public void A_backend_that_cannot_be_made_leaves_nothing_open(string call, int error)
    {
        FaultyKernel kernel = new(seed: 0);
        kernel.FailNext(call, (Errno)error);
        IOException exception = Assert.ThrowsAny<IOException>(
            () => new EpollPoller(kernel, new DeadlineHeap(), EpollEventLayout.Current).Dispose());
        Assert.Contains(((Errno)error).ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Empty(kernel.OpenDescriptors);
        Assert.Empty(kernel.Violations);
    }

    private EpollPoller CreatePoller() => new(_kernel, new DeadlineHeap(), EpollEventLayout.Current);
}
