namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Something that happens once and that somebody may wait for. It allocates only when there is a waiter: most connections
/// end without one. A mutable struct: keep it in a field. Any thread may call any member.
/// </summary>
internal struct OneShotSignal
{
    // Only its identity matters: it marks that the signal was set.
    private static readonly object SetMarker = new();

    // null: not set, nobody waits; a TaskCompletionSource: not set, somebody waits; SetMarker: set. Changed by CAS only,
    // so that a waiter that comes at the same time as Set either is seen by it or sees the marker.
    private object? _state;

    /// <summary>Marks it as happened. Waiters continue on the thread pool, never inside this call.</summary>
    internal void Set()
    {
        if (Interlocked.Exchange(ref _state, SetMarker) is TaskCompletionSource waiters)
        {
            waiters.TrySetResult();
        }
    }

    internal Task WaitAsync()
    {
        object? state = Volatile.Read(ref _state);
        if (state is null)
        {
            var waiters = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            state = Interlocked.CompareExchange(ref _state, waiters, null) ?? waiters;
        }

        return state is TaskCompletionSource source ? source.Task : Task.CompletedTask;
    }
}
