using System.Diagnostics.Metrics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>However many turns block, and whatever those do who listen: it takes few threads, and little time.</summary>
[OneMode]
public sealed class NetpollDiagnosticsTests : IDisposable
{
    private const int BlockedTurn = 120;
    private const int DiagnosticsFailed = 121;

    private readonly LogCollector _logs = new();
    private readonly ManualTime _time = new();
    private readonly GatedLogger _logger;
    private readonly LookCountingKernel _kernel = new();
    private readonly NetpollRuntime _runtime;
    private readonly ManualResetEventSlim _gate = new();
    private readonly NetpollDiagnostics _diagnostics;

    public NetpollDiagnosticsTests()
    {
        _logger = new GatedLogger(_logs.CreateLogger(LogCollector.Netpoll));
        _runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Name = "test", Backend = SuiteSettings.EngineBackend }, _kernel);
        _diagnostics = new NetpollDiagnostics(_logger, _time);
    }

    private IEnumerable<LogEntry> Logged => _logs.Of(TransportKind.Netpoll, BlockedTurn);

    public void Dispose()
    {
        _gate.Set();
        _logger.Gate.Set();
        Patience.Until(() => _diagnostics.IsDone, "everything has been told");
        _runtime.Dispose();
        _gate.Dispose();
        _logger.Dispose();
        _logs.Dispose();
    }

    [Fact]
    public async Task A_listener_that_blocks_takes_one_thread_and_the_log_goes_on()
    {
        int raised = 0;
        int inside = 0;
        int mostInside = 0;
        _diagnostics.BlockedTurn += (_, _) =>
        {
            mostInside = Math.Max(mostInside, Interlocked.Increment(ref inside));
            _gate.WaitInTime("the test opens the gate");
            Interlocked.Decrement(ref inside);
            Interlocked.Increment(ref raised);
        };

        for (int logged = 1; logged <= 3; logged++)
        {
            Sight();
            await Patience.UntilAsync(() => Logged.Count() == logged, "it is logged");
            _time.Now += BlockedTurnThrottle.Interval;
        }

        await Patience.UntilAsync(() => Volatile.Read(ref inside) == 1, "the listener hears of it");
        Assert.Equal(0, raised);
        _gate.Set();
        await DoneAsync();
        Assert.Equal((3, 1), (raised, mostInside));
    }

    [Fact]
    public async Task Beyond_a_number_sightings_are_left_out_and_counted_in_the_next_entry()
    {
        _logger.Gate.Reset();
        Sight();
        await Patience.UntilAsync(() => _logger.IsEntered, "the first one is being logged");
        for (int i = 1; i < NetpollDiagnostics.MaxPending + 5; i++)
        {
            Sight();
        }

        // Who listens is told of each that is kept: without, only some of them would be looked at.
        _diagnostics.BlockedTurn += static (_, _) => { };
        _logger.Gate.Set();
        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxPending, _kernel.Looks);
        Assert.EndsWith("not logged: 0.", Assert.Single(Logged).Message, StringComparison.Ordinal);

        _time.Now += BlockedTurnThrottle.Interval;
        Sight();
        await DoneAsync();
        Assert.EndsWith($"not logged: {NetpollDiagnostics.MaxPending + 4}.", Logged.Last().Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task For_the_log_alone_only_so_many_are_looked_at_in_a_second_and_for_nobody_none()
    {
        for (int i = 0; i < NetpollDiagnostics.MaxLooks + 5; i++)
        {
            Sight();
        }

        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxLooks, _kernel.Looks);

        _time.Now += TimeSpan.FromSeconds(1);
        Sight();
        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxLooks + 1, _kernel.Looks);

        _time.Now += TimeSpan.FromSeconds(1);
        _logger.Minimum = LogLevel.Error;
        Sight();
        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxLooks + 1, _kernel.Looks);

        // Who listens hears of all.
        int raised = 0;
        _diagnostics.BlockedTurn += (_, _) => raised++;
        for (int i = 0; i < NetpollDiagnostics.MaxLooks + 5; i++)
        {
            Sight();
        }

        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxLooks + 5, raised);
    }

    [Fact]
    public async Task To_look_back_as_many_are_looked_at_as_for_the_log_also_where_that_wants_none()
    {
        _logger.Minimum = LogLevel.Error;
        BlockedTurnHistory history = _diagnostics.KeepHistory();
        Assert.Same(history, _diagnostics.KeepHistory());
        for (int i = 0; i < NetpollDiagnostics.MaxLooks + 5; i++)
        {
            Sight();
        }

        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxLooks, _kernel.Looks);
        Assert.Equal(NetpollDiagnostics.MaxLooks, history.Read(out _).Length);
        Assert.Empty(Logged);
    }

    [Fact]
    public async Task Failures_of_listeners_are_logged_once_in_ten_seconds_and_counted()
    {
        _diagnostics.BlockedTurn += static (_, _) => throw new InvalidOperationException("a listener");
        for (int i = 0; i < 3; i++)
        {
            Sight();
        }

        await DoneAsync();
        LogEntry first = Assert.Single(_logs.Of(TransportKind.Netpoll, DiagnosticsFailed));
        Assert.Equal("a listener", first.Exception?.Message);
        Assert.EndsWith("not logged: 0.", first.Message, StringComparison.Ordinal);

        _time.Now += NetpollDiagnostics.FailureInterval;
        Sight();
        await DoneAsync();
        LogEntry[] entries = [.. _logs.Of(TransportKind.Netpoll, DiagnosticsFailed)];
        Assert.Equal(2, entries.Length);
        Assert.EndsWith("not logged: 2.", entries[1].Message, StringComparison.Ordinal);
    }

    /// <summary>A first request, for which .NET gets its code ready, is the first thing that a new user would be warned of.</summary>
    [Theory]
    [InlineData(true, 100, LogLevel.Warning)]
    [InlineData(false, 100, LogLevel.Debug)]
    [InlineData(false, 999, LogLevel.Debug)]
    [InlineData(false, 1000, LogLevel.Warning)]
    public async Task What_is_not_known_to_wait_is_a_warning_only_after_ten_times_as_long(bool waits, int milliseconds, LogLevel level)
    {
        int raised = 0;
        _diagnostics.Configure(new NetpollTransportOptions());
        _diagnostics.BlockedTurn += (_, _) => raised++;

        Sight(milliseconds, waits);

        await DoneAsync();
        Assert.Equal(level, Assert.Single(Logged).Level);
        Assert.Equal(1, raised);
    }

    [Fact]
    public async Task Measurements_that_pile_up_keep_nobody_from_hearing_of_a_blocked_turn()
    {
        using var meter = new Meter("test");
        int recorded = 0;
        using var listener = new MeterListener();
        listener.SetMeasurementEventCallback<double>((_, _, _, _) =>
        {
            _gate.WaitInTime("the test opens the gate");
            recorded++;
        });
        _diagnostics.HandOffDelay = new HandOffDelay(meter);
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter == meter)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.Start();
        TaskCompletionSource raised = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _diagnostics.BlockedTurn += (_, _) => raised.TrySetResult();

        for (int i = 0; i < NetpollDiagnostics.MaxMeasurements + 5; i++)
        {
            _diagnostics.OnHandedOff(HandOffReason.ManagedWait, 1);
        }

        Sight();
        await raised.Task.InTime();
        _gate.Set();
        await DoneAsync();
        Assert.Equal(NetpollDiagnostics.MaxMeasurements, recorded);
    }

    private Task DoneAsync() => Patience.UntilAsync(() => _diagnostics.IsDone, "everything has been told");

    // Of a turn that has ended by then: so it is of one kind, whatever the thread does.
    private void Sight(int milliseconds = 1000, bool waits = true)
    {
        Processor processor = _runtime.Groups[0].Processors[0];
        const long Never = -1;
        _diagnostics.OnBlockedTurn(
            new BlockedTurnSighting(processor.Holder!, processor, Never, turn: null, milliseconds * 1_000_000L, waits));
    }

    // Passes on what it gets, from a level up, while its gate is open.
    private sealed class GatedLogger(ILogger logger) : ILogger, IDisposable
    {
        private volatile bool _isEntered;

        internal bool IsEntered => _isEntered;

        internal ManualResetEventSlim Gate { get; } = new(initialState: true);

        internal LogLevel Minimum { get; set; } = LogLevel.Debug;

        public void Dispose() => Gate.Dispose();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= Minimum;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            _isEntered = true;
            Gate.WaitInTime("the test opens the gate");
            logger.Log(logLevel, eventId, state, exception, formatter);
        }
    }

    // Counts how often somebody wants to know what a thread does.
    private sealed class LookCountingKernel : SystemCalls
    {
        private int _looks;

        internal int Looks => Volatile.Read(ref _looks);

        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode)
        {
            if (path.StartsWith("/proc/self/task/", StringComparison.Ordinal) && path.EndsWith("/stat", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref _looks);
            }

            return base.OpenOnce(path, flags, mode);
        }
    }
}
