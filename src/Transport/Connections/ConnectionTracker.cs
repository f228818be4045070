using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Knows the connections that are alive, so that the engine under them is not torn down before they have ended.
/// The list is threaded through the connections themselves: adding and removing allocates nothing.
/// </summary>
internal sealed class ConnectionTracker
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);

    // Guards the links (TrackedConnection.Previous and Next) and every field below. Nothing else runs under it.
    private readonly Lock _lock = new();

    private TrackedConnection? _first;
    private int _count;
    private long _accepted;

    // The next one that Visit is to return; null: it is at the end.
    private TrackedConnection? _cursor;

    // Of the connections that have ended; those that are alive count for themselves, without contention.
    private long _bytesReceived;
    private long _bytesSent;

    // Made by the one who waits for the end of all connections, when the transport is disposed, or drains.
    private TaskCompletionSource? _empty;

    internal int Count => Volatile.Read(ref _count);

    /// <summary>All there have been.</summary>
    internal long Accepted => Volatile.Read(ref _accepted);

    /// <summary>How long <see cref="WaitForFirstReadsAsync"/> waits. Tests of slow ones have more patience.</summary>
    internal TimeSpan FirstReadTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Once it is watched: only then can nothing go wrong with that any more.</summary>
    internal void Add(TrackedConnection connection)
    {
        lock (_lock)
        {
            connection.Next = _first;
            _first?.Previous = connection;
            _first = connection;
            _count++;
            _accepted++;
        }
    }

    /// <summary>Each connection removes itself exactly once, at the end of its disposal.</summary>
    internal void Remove(TrackedConnection connection)
    {
        TaskCompletionSource? empty;
        lock (_lock)
        {
            if (ReferenceEquals(_cursor, connection))
            {
                _cursor = connection.Next;
            }

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
            for (TrackedConnection? connection = _first; connection is not null; connection = connection.Next)
            {
                received += connection.BytesReceived;
                sent += connection.BytesSent;
            }

            return (received, sent);
        }
    }

    /// <summary>
    /// Returns connections, some with each call: all that are there from the beginning to the end, and perhaps not those that are added
    /// meanwhile. For one caller.
    /// </summary>
    /// <param name="connections">Where they go.</param>
    /// <param name="fromStart">Begins again.</param>
    /// <param name="hasMore">Are there more to come?</param>
    /// <returns>How many there are this time.</returns>
    internal int Visit(Span<TrackedConnection?> connections, bool fromStart, out bool hasMore)
    {
        lock (_lock)
        {
            TrackedConnection? next = fromStart ? _first : _cursor;
            int count = 0;
            for (; next is not null && count < connections.Length; next = next.Next)
            {
                connections[count++] = next;
            }

            _cursor = next;
            hasMore = next is not null;
            return count;
        }
    }

    /// <summary>
    /// Waits until Kestrel has begun to read from the connections that it has been given lately, or until the time is up: from one that it
    /// has not begun with, it reads nothing any more once it is to close it, and the request that has come already stays unanswered.
    /// Connections that are older than that time are not waited for at all: their handlers do not want to read.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait; nothing is thrown.</param>
    internal async Task WaitForFirstReadsAsync(CancellationToken cancellationToken)
    {
        long since = MonotonicClock.After(-FirstReadTimeout);
        long deadline = MonotonicClock.After(FirstReadTimeout);
        List<TrackedConnection> waiting = Find(connection => connection.AcceptedAt >= since);
        while (true)
        {
            waiting.RemoveAll(static connection => connection.HasBegun);
            if (waiting.Count == 0 || cancellationToken.IsCancellationRequested || MonotonicClock.Now >= deadline)
            {
                return;
            }

            await Task.Delay(LookInterval, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Aborts what is alive and waits until all of it has been disposed by Kestrel, or until the time is up.</summary>
    /// <param name="reason">For those that have not been closed before.</param>
    /// <param name="timeout">For how long, if there are any of these.</param>
    /// <param name="grace">For how long if there are none: they have been closed before, and their handlers have had time to
    /// notice.</param>
    /// <returns>How many connections are left.</returns>
    internal async Task<int> AbortAllAsync(string reason, TimeSpan timeout, TimeSpan grace)
    {
        List<TrackedConnection> alive = FindAll();
        if (alive.Count == 0)
        {
            return 0;
        }

        // Outside of the lock: what an abort sets in motion removes connections.
        bool allClosedBefore = true;
        foreach (TrackedConnection connection in alive)
        {
            allClosedBefore &= connection.IsClosed;
            try
            {
                connection.Abort(new ConnectionAbortedException(reason));
            }
            catch (Exception e)
            {
                // The others must end as well.
                NetpollTransportLog.UnexpectedException(connection.Logger, connection.ConnectionId, e);
            }
        }

        await Task.WhenAny(WhenEmptyAsync(), Task.Delay(allClosedBefore ? grace : timeout)).ConfigureAwait(false);
        return Count;
    }

    /// <summary>Completes, on the thread pool, when there is no connection. To be used once none is added any more.</summary>
    internal Task WhenEmptyAsync()
    {
        lock (_lock)
        {
            if (_count == 0)
            {
                return Task.CompletedTask;
            }

            _empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _empty.Task;
        }
    }

    /// <summary>Those that were accepted first, and how many there are.</summary>
    internal TrackedConnection[] FindOldest(int most, out int count)
    {
        List<TrackedConnection> all = FindAll();
        count = all.Count;

        // The list begins with the youngest.
        return [.. all.TakeLast(most).Reverse()];
    }

    /// <summary>All of them. The list has its size before the lock is taken: it rarely grows under it.</summary>
    internal List<TrackedConnection> FindAll()
    {
        List<TrackedConnection> found = new(Count);
        lock (_lock)
        {
            for (TrackedConnection? connection = _first; connection is not null; connection = connection.Next)
            {
                found.Add(connection);
            }
        }

        return found;
    }

    /// <summary>Under the lock: the condition only looks.</summary>
    internal List<TrackedConnection> Find(Func<TrackedConnection, bool> condition)
    {
        List<TrackedConnection> found = [];
        lock (_lock)
        {
            for (TrackedConnection? connection = _first; connection is not null; connection = connection.Next)
            {
                if (condition(connection))
                {
                    found.Add(connection);
                }
            }
        }

        return found;
    }
}
