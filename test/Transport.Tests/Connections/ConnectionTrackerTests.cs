using System.IO.Pipelines;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.Connections;

/// <summary>For whom a stop waits, and for how long: the long times here are days, and never over.</summary>
[OneMode]
public sealed class ConnectionTrackerTests
{
    private static readonly TimeSpan Days = TimeSpan.FromDays(7);

    private readonly ConnectionTracker _tracker = new();

    [Fact]
    public async Task Who_was_closed_before_has_had_his_time()
    {
        Tracked one = Add(isClosed: true);
        Add(isClosed: true);

        Assert.Equal(2, await _tracker.AbortAllAsync("the end", timeout: Days, grace: TimeSpan.Zero).InTime());
        Assert.Equal("the end", one.AbortedWith);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_was_not_is_waited_for_as_long_as_it_may_take(bool anotherWas)
    {
        Tracked open = Add(isClosed: false);
        if (anotherWas)
        {
            Add(isClosed: true);
        }

        int count = _tracker.Count;
        Assert.Equal(count, await _tracker.AbortAllAsync("the end", timeout: TimeSpan.Zero, grace: Days).InTime());
        Assert.Equal("the end", open.AbortedWith);
    }

    [Fact]
    public async Task The_wait_ends_with_the_last_of_them()
    {
        Tracked first = Add(isClosed: false);
        Tracked second = Add(isClosed: true);
        Task<int> aborting = _tracker.AbortAllAsync("the end", Days, Days);
        _tracker.Remove(first);
        Assert.False(aborting.IsCompleted);
        _tracker.Remove(second);
        Assert.Equal(0, await aborting.InTime());
        Assert.Equal(0, await _tracker.AbortAllAsync("the end", Days, Days).InTime());
    }

    [Fact]
    public async Task An_abort_that_throws_keeps_no_other_from_its_end()
    {
        Tracked other = Add(isClosed: false);
        Add(isClosed: false).ThrowsOnAbort = true;
        Tracked another = Add(isClosed: false);

        Assert.Equal(3, await _tracker.AbortAllAsync("the end", TimeSpan.Zero, Days).InTime());
        Assert.Equal("the end", other.AbortedWith);
        Assert.Equal("the end", another.AbortedWith);
    }

    [Fact]
    public async Task An_unbind_waits_until_all_that_are_young_have_begun()
    {
        Tracked first = Add(isClosed: false);
        Tracked second = Add(isClosed: false);
        _tracker.FirstReadTimeout = Days;
        Task waiting = _tracker.WaitForFirstReadsAsync(CancellationToken.None);
        first.Begin();
        Assert.False(waiting.IsCompleted);
        second.Begin();
        await waiting.InTime();
    }

    [Fact]
    public async Task It_does_not_wait_for_those_that_are_old_nor_if_it_is_in_a_hurry()
    {
        Tracked connection = Add(isClosed: false);
        _tracker.FirstReadTimeout = Days;
        await _tracker.WaitForFirstReadsAsync(new CancellationToken(canceled: true)).InTime();
        _tracker.FirstReadTimeout = TimeSpan.Zero;
        await _tracker.WaitForFirstReadsAsync(CancellationToken.None).InTime();
        Assert.False(connection.HasBegun);
    }

    private Tracked Add(bool isClosed)
    {
        Tracked connection = new(isClosed);
        _tracker.Add(connection);
        return connection;
    }

    private sealed class Tracked(bool isClosed) : TrackedConnection
    {
        private volatile bool _hasBegun;

        public override string ConnectionId { get; set; } = "one";

        public override IFeatureCollection Features => throw new NotSupportedException();

        public override IDictionary<object, object?> Items { get; set; } = new Dictionary<object, object?>();

        public override IDuplexPipe Transport { get; set; } = null!;

        public override ILogger Logger => NullLogger.Instance;

        internal override bool HasBegun => _hasBegun;

        internal override bool IsClosed => isClosed;

        internal override long BytesReceived => 0;

        internal override long BytesSent => 0;

        internal override ConnectionView View => throw new NotSupportedException();

        internal override ConnectionLimit LookAtLimits(long now) => throw new NotSupportedException();

        internal override void OnLimitReached(ConnectionLimit limit) => throw new NotSupportedException();

        internal string? AbortedWith { get; private set; }

        internal bool ThrowsOnAbort { get; set; }

        internal void Begin() => _hasBegun = true;

        public override void Abort(ConnectionAbortedException abortReason) =>
            AbortedWith = ThrowsOnAbort ? throw new InvalidOperationException() : abortReason.Message;
    }
}
