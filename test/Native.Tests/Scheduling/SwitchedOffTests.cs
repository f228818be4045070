using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>A part that is left out does nothing any more, where it does something otherwise; see also <see cref="EnginePartsTests"/>.</summary>
public sealed class SwitchedOffTests
{
    // Longer than a turn that is short, and not so long that a sleep after it would not be a frequent one.
    private static readonly TimeSpan LongWork = TimeSpan.FromMicroseconds(LoadMeter.LongTurn * 1.5 / 1000);

    [Fact]
    public void Without_idle_processors_none_goes_idle()
    {
        using NetpollRuntime runtime = Create(new EngineParts { IdleProcessors = false });
        using PingPong game = new(runtime);
        game.WaitForRounds(2_000);
        Assert.Equal(0, runtime.Groups[0].Idle.Count);
    }

    [Fact]
    public void With_the_load_meter_long_turns_keep_all_awake()
    {
        using NetpollRuntime runtime = Create(new EngineParts());
        using PingPong game = new(runtime, LongWork);

        // The window that shows it, and twice as many again.
        game.WaitForRounds(1_000);
        Assert.Equal(0, runtime.Groups[0].Idle.Count);
    }

    [Fact]
    public void Without_the_load_meter_long_turns_are_left_to_one_as_well()
    {
        using NetpollRuntime runtime = Create(new EngineParts { LoadMeter = false });
        using PingPong game = new(runtime, LongWork);
        game.WaitForRounds(1_000);
        Patience.Until(() => runtime.Groups[0].Idle.Count == 1, "a processor is idle");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Busy_polling_asks_without_waiting(bool polls)
    {
        LookCounter kernel = new();
        using NetpollRuntime runtime = Create(new EngineParts { BusyPolling = polls }, workers: 1, kernel);
        using PingPong game = new(runtime, TimeSpan.FromMicroseconds(10));
        game.WaitForRounds(2_000);
        if (polls)
        {
            Patience.Until(() => kernel.Looks > 100, "it polls");
        }
        else
        {
            Assert.Equal(0, kernel.Looks);
        }
    }

    [Fact]
    public void Without_its_pace_the_monitor_never_dozes()
    {
        using NetpollRuntime even = Create(new EngineParts { MonitorPace = false });
        using NetpollRuntime paced = Create(new EngineParts());
        Patience.Until(() => paced.Groups[0].Monitor!.DozesWithoutEnd, "nothing happens, and the monitor dozes");
        Assert.False(even.Groups[0].Monitor!.DozesWithoutEnd);
    }

    private static NetpollRuntime Create(EngineParts parts, int workers = 2, SystemCalls? systemCalls = null) => new(
        new NetpollRuntimeOptions
        {
            WorkerCount = workers,
            Name = WorkerThreads.NewName(),
            Parts = parts,
            Backend = systemCalls is null ? SuiteBackend.Chosen : PollerBackend.Epoll,
        },
        systemCalls);

    private sealed class LookCounter : SystemCalls
    {
        private int _looks;

        internal int Looks => Volatile.Read(ref _looks);

        protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
        {
            Count(timeoutMilliseconds);
            return base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);
        }

        protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
        {
            Count(timeoutNanoseconds);
            return base.EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);
        }

        private void Count(long timeout)
        {
            if (timeout == 0)
            {
                Interlocked.Increment(ref _looks);
            }
        }
    }
}
