using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

/// <summary>What only the backend on poll(2) has: what is asked when, and a kernel that refuses.</summary>
public sealed class PollPollerTests
{
    private const short All = LibC.POLLIN | LibC.POLLOUT | LibC.POLLRDHUP | LibC.POLLPRI;

    private readonly PollKernel _kernel = new();

    [Fact]
    public void Nothing_is_asked_of_a_direction_that_nobody_waits_for()
    {
        using PollPoller poller = new(_kernel, new DeadlineHeap());
        using Pair pair = new();
        PolledFile file = new(poller, pair.Ours);
        Fetch(poller);
        Assert.Equal(LibC.POLLRDHUP, _kernel.LastAsked(pair.Ours));

        file.ParkReader();
        Fetch(poller);
        Assert.Equal((short?)(LibC.POLLRDHUP | LibC.POLLIN), _kernel.LastAsked(pair.Ours));

        pair.Send();
        Assert.Equal(PollReadiness.Readable, Assert.Single(Fetch(poller)).Readiness);
        Fetch(poller);
        Assert.Equal(LibC.POLLRDHUP, _kernel.LastAsked(pair.Ours));
        file.Close();
    }

    /// <summary>A connection's input that nobody reads is told as well, from time to time.</summary>
    [Fact]
    public void Input_that_nobody_reads_is_told_after_a_while()
    {
        using PollPoller poller = new(_kernel, new DeadlineHeap());
        using Pair pair = new();
        PolledFile file = new(poller, pair.Ours, PollInterest.Socket);
        pair.Send();
        Assert.Single(Fetch(poller));

        // The leader's own timer ends its sleep; the test's does not.
        for (int i = 0; i < 2; i++)
        {
            // A machine that stands still in between makes one of these come later, and be told: not many.
            const int Looks = 1000;
            Assert.InRange(Enumerable.Range(0, Looks).Sum(_ => Fetch(poller).Count), 0, Looks / 4);
            Assert.Single(Fetch(poller, timeout: -1));
        }

        file.Close();
    }

    [Fact]
    public void What_has_hung_up_is_not_asked_about()
    {
        using PollPoller poller = new(_kernel, new DeadlineHeap());
        using Pair pair = new();
        PolledFile file = new(poller, pair.Ours);
        pair.HangUp();
        Assert.Single(Fetch(poller));
        Fetch(poller);
        Assert.Null(_kernel.LastAsked(pair.Ours));

        file.ParkReader();
        Assert.Single(Fetch(poller));
        file.Close();
    }

    [Fact]
    public void A_refused_pipe_is_an_error()
    {
        _kernel.Errors["pipe2"] = Errno.EMFILE;
        IOException exception = Assert.ThrowsAny<IOException>(() => new PollPoller(_kernel, new DeadlineHeap()).Dispose());
        Assert.Contains("pipe2", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_without_memory_is_asked_again()
    {
        using PollPoller poller = new(_kernel, new DeadlineHeap());
        using Pair pair = new();
        PolledFile file = new(poller, pair.Ours);
        file.ParkReader();
        pair.Send();
        _kernel.Errors["poll"] = Errno.ENOMEM;
        Assert.Empty(Fetch(poller));
        _kernel.Errors.Clear();
        Assert.Single(Fetch(poller));
        file.Close();
    }

    /// <summary>EINVAL: more descriptors than the process may have open, since its limit was lowered.</summary>
    [Fact]
    public void More_than_the_limit_are_asked_about_one_by_one()
    {
        using PollPoller poller = new(_kernel, new DeadlineHeap());
        using Pair pair = new();
        PolledFile file = new(poller, pair.Ours);
        file.ParkReader();
        _kernel.MostAtOnce = 1;
        Assert.Empty(Fetch(poller));
        pair.Send();
        Assert.Single(Fetch(poller, timeout: -1));
        file.Close();
    }

    [Theory]
    [InlineData(LibC.POLLIN, PollReadiness.Readable)]
    [InlineData(LibC.POLLOUT, PollReadiness.Writable)]
    [InlineData(LibC.POLLPRI, PollReadiness.Urgent)]
    [InlineData(LibC.POLLRDHUP, PollReadiness.Readable | PollReadiness.Hangup)]
    [InlineData(LibC.POLLHUP, PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.Gone)]
    [InlineData(LibC.POLLNVAL, PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.Gone)]
    [InlineData(
        LibC.POLLERR,
        PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Hangup | PollReadiness.Gone | PollReadiness.ErrorOnly)]
    public void Each_event_is_what_epoll_would_make_of_it(short events, object expected)
    {
        Assert.Equal(expected, PollSlot.Translate(events));
        if (events != LibC.POLLNVAL)
        {
            Assert.Equal(expected, EpollPoller.Translate((ushort)events));
        }
    }

    private static List<PollEvent> Fetch(PollPoller poller, long timeout = 0)
    {
        PollEventBatch batch = poller.CreateBatch(4);
        poller.Wait(batch, timeout);
        List<PollEvent> events = [];
        for (int i = 0; i < batch.Count; i++)
        {
            events.Add(batch[i]);
        }

        return events;
    }

    private sealed class PollKernel : SystemCalls
    {
        private readonly Dictionary<int, short> _asked = [];

        internal Dictionary<string, Errno> Errors { get; } = [];

        internal int MostAtOnce { get; set; } = int.MaxValue;

        internal short? LastAsked(int fd) => _asked.TryGetValue(fd, out short events) ? events : null;

        protected internal override SyscallResult Pipe2Once(out int read, out int write, int flags)
        {
            (read, write) = (-1, -1);
            return Errors.TryGetValue("pipe2", out Errno error) ? SyscallResult.Failure(error) : base.Pipe2Once(out read, out write, flags);
        }

        protected internal override SyscallResult PollAllOnce(Span<pollfd> asked, int timeoutMilliseconds)
        {
            if (Errors.TryGetValue("poll", out Errno error) || asked.Length > MostAtOnce)
            {
                return SyscallResult.Failure(error == Errno.Success ? Errno.EINVAL : error);
            }

            if (MostAtOnce > 1)
            {
                _asked.Clear();
            }

            foreach (pollfd one in asked)
            {
                Assert.Equal(0, one.events & ~All);
                _asked[one.fd] = one.events;
            }

            return base.PollAllOnce(asked, timeoutMilliseconds);
        }
    }

    private sealed class Pair : IDisposable
    {
        private readonly int _theirs;
        private bool _isHungUp;

        internal Pair()
        {
            SystemCalls.Instance.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int ours, out _theirs);
            Ours = ours;
        }

        internal int Ours { get; }

        internal void Send() => SystemCalls.Instance.Write(_theirs, [0]);

        internal void HangUp()
        {
            _isHungUp = true;
            SystemCalls.Instance.Close(_theirs);
        }

        public void Dispose()
        {
            SystemCalls.Instance.Close(Ours);
            if (!_isHungUp)
            {
                SystemCalls.Instance.Close(_theirs);
            }
        }
    }
}
