using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Knows the connections that are alive, so that the engine under them is not torn down before they have ended.
/// The list is threaded through the connections themselves: adding and removing allocates nothing.
/// </summary>
internal sealed class ConnectionTracker
{
    // Guards the links (NetpollConnection.Previous and Next) and every field below. Nothing else runs under it.
    private readonly Lock _lock = new();

    private NetpollConnection? _first;
    private int _count;

    // Of the connections that have ended; those that are alive count for themselves, without contention.
    private long _bytesReceived;
    private long _bytesSent;

    // Made by the one who waits for the end of all connections, when the transport is disposed.
    private TaskCompletionSource? _empty;

    internal int Count => Volatile.Read(ref _count);

    internal void Add(NetpollConnection connection)
    {
        lock (_lock)
        {
            connection.Next = _first;
            _first?.Previous = connection;
            _first = connection;
            _count++;
        }
    }

    /// <summary>Each connection removes itself exactly once, at the end of its disposal.</summary>
    internal void Remove(NetpollConnection connection)
    {
        TaskCompletionSource? empty;
        lock (_lock)
        {
            if (connection.Previous is null)
            {
                _first = connection.Next;
            }
            else
            {
                connection.Previous.Next = connection.Next;
            }

            connection.Next?.Previous = connection.Previous;
            connection.Next = connection.Previous = null;
            _count--;
            _bytesReceived += connection.BytesReceived;
            _bytesSent += connection.BytesSent;
            empty = _count == 0 ? _empty : null;
        }

        // Not under the lock, although its waiters continue elsewhere: no foreign code under a lock, on principle.
        empty?.TrySetResult();
    }

    /// <summary>Of all connections, ended and alive. Walks the list, so not for every request.</summary>
    internal (long Received, long Sent) GetBytes()
    {
        lock (_lock)
        {
            (long received, long sent) = (_bytesReceived, _bytesSent);
            for (NetpollConnection? connection = _first; connection is not null; connection = connection.Next)
            {
                received += connection.BytesReceived;
                sent += connection.BytesSent;
            }

            return (received, sent);
        }
    }

    /// <summary>Aborts what is alive and waits until all of it has been disposed by Kestrel, or until the time is up.</summary>
    /// <returns>How many connections are left.</returns>
    internal async Task<int> AbortAllAsync(string reason, TimeSpan timeout)
    {
        List<NetpollConnection> alive = [];
        Task empty;
        lock (_lock)
        {
            if (_count == 0)
            {
                return 0;
            }

            for (NetpollConnection? connection = _first; connection is not null; connection = connection.Next)
            {
                alive.Add(connection);
            }

            _empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            empty = _empty.Task;
        }

        // Outside of the lock: what an abort sets in motion removes connections.
        foreach (NetpollConnection connection in alive)
        {
            connection.Abort(new ConnectionAbortedException(reason));
        }

        await Task.WhenAny(empty, Task.Delay(timeout)).ConfigureAwait(false);
        return Count;
    }
}
