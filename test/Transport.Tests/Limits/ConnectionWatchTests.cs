using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Limits;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Limits;

/// <summary>When a limit is reached, on a clock of the test's.</summary>
[OneMode]
public class ConnectionWatchTests
{
    private const long Millisecond = MonotonicClock.NanosecondsPerMillisecond;
    private const long Start = 5_000 * Millisecond;

    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(100);

    private readonly Peer _peer = new();

    [Theory]
    [InlineData(null, null, null, null, 0)]
    [InlineData(80, null, null, null, 20)]
    [InlineData(1_000, 800, null, null, 100)]
    [InlineData(null, null, 400, 3_600_000, 50)]
    [InlineData(null, null, null, 3_600_000, 1_000)]
    public void All_are_looked_at_eight_times_within_the_shortest_limit_within_bounds(
        int? firstByte, int? readIdle, int? writeStall, int? age, int milliseconds)
    {
        ConnectionLimits? limits = ConnectionLimits.From(new NetpollTransportOptions
        {
            FirstByteTimeout = ToTime(firstByte),
            ReadIdleTimeout = ToTime(readIdle),
            WriteStallTimeout = ToTime(writeStall),
            MaxConnectionAge = ToTime(age),
        });

        Assert.Equal(milliseconds * Millisecond, limits?.LookInterval ?? 0);

        static TimeSpan? ToTime(int? given) => given is { } value ? TimeSpan.FromMilliseconds(value) : null;
    }

    [Fact]
    public void The_first_byte_is_waited_for_from_the_accept_on()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { FirstByteTimeout = Limit });

        Assert.Equal(ConnectionLimit.None, LookAt(watch, 99));
        Assert.Equal(ConnectionLimit.FirstByteTimeout, LookAt(watch, 100));

        // A server that is late has not received what has come.
        _peer.HasMore = true;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 101));
        _peer.BytesReceived = 1;
        _peer.HasMore = false;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 10_000));
    }

    [Fact]
    public void A_read_that_waits_is_idle_from_the_look_on_that_saw_the_last_byte()
    {
        _peer.IsReadWaiting = true;
        ConnectionWatch watch = Watch(new NetpollTransportOptions { ReadIdleTimeout = Limit });

        Assert.Equal(ConnectionLimit.None, LookAt(watch, 40));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 139));
        _peer.BytesReceived = 1;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 140));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 239));
        _peer.HasMore = true;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 240));
        _peer.HasMore = false;
        Assert.Equal(ConnectionLimit.ReadIdleTimeout, LookAt(watch, 241));
    }

    [Fact]
    public void The_time_in_which_nobody_reads_does_not_count()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { ReadIdleTimeout = Limit });

        Assert.Equal(ConnectionLimit.None, LookAt(watch, 10));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 500));
        _peer.IsReadWaiting = true;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 599));
        Assert.Equal(ConnectionLimit.ReadIdleTimeout, LookAt(watch, 600));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(500)]
    public void A_peer_stalls_that_takes_nothing_of_what_is_in_the_kernel_whatever_is_queued(int queued)
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { WriteStallTimeout = Limit });
        (_peer.BytesSent, _peer.Unacknowledged, _peer.QueuedBytes) = (1_000, 1_000, queued);

        Assert.Equal(ConnectionLimit.None, LookAt(watch, 10));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 20));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 109));
        Assert.Equal(ConnectionLimit.WriteStallTimeout, LookAt(watch, 120));
    }

    [Fact]
    public void A_server_that_is_late_with_what_is_queued_does_not_make_the_peer_stall_that_has_taken_the_rest()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { WriteStallTimeout = Limit });
        (_peer.BytesSent, _peer.Unacknowledged, _peer.QueuedBytes) = (1_000, 0, 500);
        int time;
        for (time = 0; time < 1_000; time += 10)
        {
            Assert.Equal(ConnectionLimit.None, LookAt(watch, time));
        }

        (_peer.BytesSent, _peer.Unacknowledged, _peer.QueuedBytes) = (1_500, 500, 0);
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time += 10));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time += 99));
        Assert.Equal(ConnectionLimit.WriteStallTimeout, LookAt(watch, time + 1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_sent_while_the_kernel_is_asked_begins_the_time_anew(bool counted)
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { WriteStallTimeout = Limit });
        (_peer.BytesSent, _peer.Unacknowledged) = (1_000, 1_000);
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 10));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 20));

        // The peer has taken all, and as much has been sent again.
        _peer.WhenKernelIsAsked = () =>
        {
            _peer.BytesSent += counted ? 1_000 : 0;
            _peer.IsSending = !counted;
        };
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 130));
        _peer.WhenKernelIsAsked = null;
        _peer.IsSending = false;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 140));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 150));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 239));
        Assert.Equal(ConnectionLimit.WriteStallTimeout, LookAt(watch, 250));
    }

    [Fact]
    public void Whatever_the_peer_takes_begins_the_time_anew_even_if_more_is_queued_than_before()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { WriteStallTimeout = Limit });
        (_peer.BytesSent, _peer.Unacknowledged, _peer.QueuedBytes) = (1_000, 1_000, 100);
        int time;
        for (time = 0; time < 1_000; time += 90)
        {
            Assert.Equal(ConnectionLimit.None, LookAt(watch, time));
            _peer.QueuedBytes += 10_000;
            _peer.Unacknowledged -= 10;
        }

        _peer.BytesSent++;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time += 50));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, time += 99));
        Assert.Equal(ConnectionLimit.WriteStallTimeout, LookAt(watch, time + 1));
    }

    [Fact]
    public void The_kernel_is_not_asked_about_connections_that_send_nor_about_those_whose_peer_has_taken_all()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { WriteStallTimeout = Limit });
        for (int time = 0; time < 1_000; time += 10)
        {
            _peer.BytesSent += 100;
            LookAt(watch, time);
        }

        Assert.Equal(0, _peer.KernelAsked);
        for (int time = 1_000; time < 2_000; time += 10)
        {
            Assert.Equal(ConnectionLimit.None, LookAt(watch, time));
        }

        Assert.Equal(1, _peer.KernelAsked);

        // What is sent then has not waited for as long as the connection was idle.
        (_peer.QueuedBytes, _peer.Unacknowledged) = (10, 10);
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 2_000));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 2_099));
        Assert.Equal(ConnectionLimit.WriteStallTimeout, LookAt(watch, 2_100));
    }

    [Theory]
    [InlineData(0, 1_000)]
    [InlineData(0.5, 1_050)]
    [InlineData(0.999999, 1_099)]
    public void An_age_is_said_once_and_lies_within_a_tenth(double jitter, int milliseconds)
    {
        ConnectionLimits limits = ConnectionLimits.From(new NetpollTransportOptions { MaxConnectionAge = TimeSpan.FromSeconds(1) })!;
        var watch = new ConnectionWatch(limits, Start, jitter);

        Assert.Equal(ConnectionLimit.None, LookAt(watch, milliseconds - 1));
        Assert.Equal(ConnectionLimit.MaxConnectionAge, LookAt(watch, milliseconds + 1));
        Assert.Equal(ConnectionLimit.None, LookAt(watch, milliseconds + 2));
        Assert.Equal(1, _peer.CloseRequests);
    }

    [Fact]
    public void An_age_is_said_as_soon_as_somebody_can_be_asked()
    {
        ConnectionWatch watch = Watch(new NetpollTransportOptions { MaxConnectionAge = Limit });
        _peer.CanBeAsked = false;
        Assert.Equal(ConnectionLimit.None, LookAt(watch, 200));
        _peer.CanBeAsked = true;
        Assert.Equal(ConnectionLimit.MaxConnectionAge, LookAt(watch, 210));
    }

    private static ConnectionWatch Watch(NetpollTransportOptions options) => new(ConnectionLimits.From(options)!, Start, jitter: 0);

    private ConnectionLimit LookAt(ConnectionWatch watch, int milliseconds) => watch.Look(_peer, Start + (milliseconds * Millisecond));

    private sealed class Peer : IWatchedConnection
    {
        public long BytesReceived { get; set; }

        public long BytesSent { get; set; }

        public bool IsReadWaiting { get; set; }

        public long QueuedBytes { get; set; }

        public bool IsSending { get; set; }

        internal int Unacknowledged { get; set; }

        // In the kernel, or in the hands of a turn.
        internal bool HasMore { get; set; }

        internal Action? WhenKernelIsAsked { get; set; }

        internal bool CanBeAsked { get; set; } = true;

        internal int KernelAsked { get; private set; }

        internal int CloseRequests { get; private set; }

        public int CountUnacknowledged()
        {
            KernelAsked++;
            WhenKernelIsAsked?.Invoke();
            return Unacknowledged;
        }

        public bool HasSentOnly(long bytes) => !HasMore && BytesReceived == bytes;

        public bool TryRequestClose()
        {
            CloseRequests += CanBeAsked ? 1 : 0;
            return CanBeAsked;
        }
    }
}
