using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// The sockets that have sent their last byte and wait for the peer to finish; see <see cref="LingeringSocket"/>. Thread-safe.
/// </summary>
internal sealed class LingeringSockets
{
    /// <summary>More than so many at once are not worth their descriptors.</summary>
    internal const int Capacity = 1024;

    // Guards _sockets, _closed and _empty. Nothing else runs under it.
    private readonly Lock _lock = new();
    private readonly HashSet<LingeringSocket> _sockets = [];
    private bool _closed;
    private TaskCompletionSource? _empty;

    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _sockets.Count;
            }
        }
    }

    /// <summary>Takes over a socket whose write side has been shut down, to close it. False: the caller has to.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="certain">The peer has more to send, so that a close would reset it. Where that is only possible, half the places
    /// do.</param>
    internal bool TryAdd(StreamSocket socket, bool certain)
    {
        var lingering = new LingeringSocket(socket, Remove);
        lock (_lock)
        {
            if (_closed || _sockets.Count >= (certain ? Capacity : Capacity / 2))
            {
                return false;
            }

            _sockets.Add(lingering);
        }

        lingering.Start();
        return true;
    }

    /// <summary>Waits, but not for long, and closes what is left. Later ones are refused.</summary>
    internal async Task CloseAsync(TimeSpan timeout)
    {
        Task empty;
        lock (_lock)
        {
            _closed = true;
            if (_sockets.Count == 0)
            {
                return;
            }

            _empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            empty = _empty.Task;
        }

        await Task.WhenAny(empty, Task.Delay(timeout)).ConfigureAwait(false);
        LingeringSocket[] left;
        lock (_lock)
        {
            left = [.. _sockets];
        }

        foreach (LingeringSocket socket in left)
        {
            socket.Close();
        }
    }

    private void Remove(LingeringSocket socket)
    {
        TaskCompletionSource? empty;
        lock (_lock)
        {
            _sockets.Remove(socket);
            empty = _sockets.Count == 0 ? _empty : null;
        }

        empty?.TrySetResult();
    }
}
