using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Input that no reader waits for: who is marked, when it is looked at, and that no mark is lost.</summary>
public sealed class UnreadInputTests : IDisposable
{
    private const uint Input = LibC.EPOLLIN;

    private readonly EngineByHand _engine = new();

    [Fact]
    public void Input_that_nobody_waits_for_is_looked_at_once_and_not_at_once()
    {
        CountingInput input = new();
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        for (int i = 0; i < 3; i++)
        {
            _engine.Kernel.Raise(file.Fd, Input);
            _engine.RunToQuiescence();
        }

        Assert.Equal(0, input.Looks);
        FireLook();
        Assert.Equal(1, input.Looks);
        FireLook();
        Assert.Equal((1, 0), (input.Looks, input.Runs));
        Assert.Equal(DeadlineHeap.None, _engine.Heap.Earliest);

        // The next one is news again.
        _engine.Kernel.Raise(file.Fd, Input);
        _engine.RunToQuiescence();
        FireLook();
        Assert.Equal(2, input.Looks);
        socket.Close();
    }

    [Theory]
    [InlineData(LibC.EPOLLOUT)]
    [InlineData(LibC.EPOLLPRI)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLRDHUP)]
    public void What_is_no_input_or_the_first_hangup_is_no_mark(uint events)
    {
        CountingInput input = new();
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        _engine.Kernel.Raise(file.Fd, events);
        _engine.RunToQuiescence();
        Assert.Equal(DeadlineHeap.None, _engine.Heap.Earliest);
        Assert.Equal((events & LibC.EPOLLRDHUP) != 0 ? 1 : 0, input.Runs);
        socket.Close();
    }

    [Fact]
    public void Input_that_a_reader_waits_for_is_no_mark()
    {
        CountingInput input = new();
        CallbackTurn reader = new();
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        socket.BeginWaitReadable(reader);
        _engine.Kernel.Raise(file.Fd, Input);
        _engine.RunToQuiescence();
        Assert.Equal(1, reader.Runs);
        Assert.Equal(DeadlineHeap.None, _engine.Heap.Earliest);
        socket.EndWaitReadable();
        socket.Close();
    }

    /// <summary>A reset can follow a FIN behind which the reader has had no room to look.</summary>
    [Fact]
    public void What_comes_after_a_hangup_is_looked_at()
    {
        CountingInput input = new();
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        _engine.Kernel.Raise(file.Fd, Input | LibC.EPOLLRDHUP);
        _engine.RunToQuiescence();
        Assert.False(socket.GoneSeen);
        _engine.Kernel.Raise(file.Fd, Input | LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR);
        _engine.RunToQuiescence();
        FireLook();
        Assert.Equal((1, 1), (input.Runs, input.Looks));
        Assert.True(socket.GoneSeen);
        socket.Close();
    }

    [Fact]
    public void A_look_can_ask_for_another_one()
    {
        CountingInput input = new() { Again = 3 };
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        _engine.Kernel.Raise(file.Fd, Input);
        _engine.RunToQuiescence();
        for (int looks = 1; looks <= 4; looks++)
        {
            FireLook();
            Assert.Equal(looks, input.Looks);
        }

        Assert.Equal(DeadlineHeap.None, _engine.Heap.Earliest);
        socket.Close();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_mark_in_the_middle_of_a_look_is_not_lost(int again)
    {
        CountingInput input = new() { Again = again };
        StreamSocket socket = _engine.OpenSocket(out SimulatedFile file, input);
        input.DuringLook = socket.OnInputLeft;
        socket.OnInputLeft();
        FireLook();
        Assert.Equal(1, input.Looks);
        input.DuringLook = null;
        FireLook();
        Assert.Equal(2, input.Looks);
        FireLook();
        Assert.Equal(2, input.Looks);
        socket.Close();
    }

    [Fact]
    public void A_look_that_throws_ends_its_own_connection_and_no_others()
    {
        CountingInput[] inputs = [new(), new() { Failure = new InvalidOperationException() }, new()];
        StreamSocket[] sockets = [.. inputs.Select(input => _engine.OpenSocket(out _, input))];
        foreach (StreamSocket socket in sockets)
        {
            socket.OnInputLeft();
        }

        FireLook();
        Assert.Equal([1, 1, 1], inputs.Select(static input => input.Looks));
        Assert.Equal([0, 1, 0], inputs.Select(static input => input.Failures));
        Array.ForEach(sockets, static socket => socket.Close());
    }

    [Fact]
    public async Task Marks_from_many_threads_all_lead_to_a_look()
    {
        const int Marks = 20_000;
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        CountingInput input = new();
        WorkerGroup group = runtime.NextGroup();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < Marks; i++)
            {
                group.OnUnread(input);
            }
        }))).InTime();
        int looks = input.Looks;
        group.OnUnread(input);
        Patience.Until(() => input.Looks > looks, "the last mark has led to a look");
    }

    public void Dispose() => _engine.Dispose();

    private void FireLook()
    {
        _engine.FireDeadlines(long.MaxValue - 1);
        _engine.RunToQuiescence();
    }

    private sealed class CountingInput : UnreadInput
    {
        private int _looks;

        internal int Looks => Volatile.Read(ref _looks);

        internal int Runs { get; private set; }

        internal int Failures { get; private set; }

        internal int Again { get; set; }

        internal Action? DuringLook { get; set; }

        internal Exception? Failure { get; init; }

        internal override bool LookAgain()
        {
            Interlocked.Increment(ref _looks);
            DuringLook?.Invoke();
            return Failure is not null ? throw Failure : Again-- > 0;
        }

        internal override void Run() => Runs++;

        internal override void OnUnhandledException(Exception exception) => Failures++;
    }
}
