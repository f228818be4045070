using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// A socket whose last byte has been sent while the peer was still sending. Closing it would answer the rest with RST, and a peer that gets
/// one drops what it has not read yet: the response. So what comes is thrown away until the peer has finished, or until it has
/// had its time or its bytes.
/// </summary>
internal sealed class LingeringSocket : Turn
{
    internal static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(2);
    internal const long MaxBytes = 64 * 1024 * 1024;

    private const int MaxReceivesPerTurn = 32;
    private const int BlockSize = 16 * 1024;
    private const long RetryNanoseconds = 10 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly StreamSocket _socket;
    private readonly Action<LingeringSocket> _onClosed;
    private readonly long _deadline = MonotonicClock.After(MaxTime);

    // Of the turn, which is in one place at a time.
    private bool _parked;
    private TurnTimer? _retry;
    private long _discarded;

    // 0 until the close, then 1. Interlocked.
    private int _closed;

    internal LingeringSocket(StreamSocket socket, Action<LingeringSocket> onClosed)
    {
        _socket = socket;
        _onClosed = onClosed;
    }

    internal void Start()
    {
        _socket.SetReadDeadline(_deadline);
        _socket.Group.Schedule(this);
    }

    /// <summary>Gives up. Any thread.</summary>
    internal void Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            _socket.Close();
            _onClosed(this);
        }
    }

    internal override void Run()
    {
        if (_parked)
        {
            // Why it woke up does not matter: the clock and the next receive tell.
            _parked = false;
            _socket.EndWaitReadable();
        }

        Span<byte> scrap = stackalloc byte[BlockSize];
        for (int i = 0; i < MaxReceivesPerTurn; i++)
        {
            if (_discarded >= MaxBytes || MonotonicClock.Now >= _deadline)
            {
                Close();
                return;
            }

            SyscallResult received = _socket.Receive(scrap);
            if (received.IsSuccess && received.Value != 0)
            {
                _discarded += received.Value;
                continue;
            }

            if (!received.WouldBlock)
            {
                Close();
                return;
            }

            // Before it is parked, since it may be woken, and run, on another worker before the call returns.
            _parked = true;
            PollResult result;
            try
            {
                result = _socket.BeginWaitReadable(this);
            }
            catch (InvalidOperationException)
            {
                // A read that the application has left behind has the place in front of the socket. It was made to end, and will have soon.
                _parked = false;
                _socket.Group.ScheduleAt(_retry ??= new TurnTimer(this), MonotonicClock.Now + RetryNanoseconds);
                return;
            }

            if (result == PollResult.Pending)
            {
                return;
            }

            _parked = false;
            if (result != PollResult.Ready)
            {
                Close();
                return;
            }
        }

        _socket.Group.Schedule(this);
    }

    internal override void OnUnhandledException(Exception exception) => Close();
}
