using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Transport.Reading;

/// <summary>
/// The read deadline, which is the socket's own: the poller releases a read that is parked, and a read that begins asks first. What is
/// here sees to it that a reader without one does not ask, and that one whose connection has ended cannot set it any more.
/// </summary>
internal sealed partial class SocketPipeReader
{
    // Under the lock, as the socket's is.
    private bool _hasDeadline;

    /// <summary>Does a read wait for bytes, and not only for its turn? Any thread; may be a moment old.</summary>
    internal bool IsReadWaiting => _wait == Wait.Parked;

    /// <summary>Is a read queued for a worker, whether there is something or not? Any thread; may be a moment old.</summary>
    internal bool IsReadScheduled => _wait == Wait.Scheduled;

    /// <summary>As it was set, or <see cref="PollDeadline.Expired"/>. Any thread; may be a moment old.</summary>
    internal long Deadline => _hasDeadline ? _socket.ReadDeadline : PollDeadline.None;

    // Even if bytes are there, as in Go.
    private bool HasDeadlinePassedLocked => _hasDeadline && _socket.ReadDeadlinePassed;

    /// <summary>
    /// Are so many bytes all that has come, and is there nothing more in the kernel, neither an end nor an error? Any thread.
    /// </summary>
    internal bool HasReceivedAll(long bytes)
    {
        // Under the lock no byte is on its way from there to here.
        lock (_lock)
        {
            return BytesReceived == bytes && !_socket.HasInput();
        }
    }

    /// <summary>
    /// Sets the deadline on the monotonic clock, or <see cref="PollDeadline.None"/> or <see cref="PollDeadline.Expired"/>. Any thread.
    /// </summary>
    internal void SetDeadline(long deadline)
    {
        lock (_lock)
        {
            // A socket that lingers after the end has a deadline that is none of the application's business; both are told before.
            if (_completed || _error is not null)
            {
                return;
            }

            _hasDeadline = deadline != PollDeadline.None;
            _socket.SetReadDeadline(deadline);
        }
    }
}
