using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The turns of a group that are not tied to a fetched event: hops from other threads, woken waiters, yields.
/// First in, first out; any thread adds, any worker of the group takes. Allocates nothing in the steady state.
/// </summary>
internal sealed class RunQueue
{
    private readonly ConcurrentQueue<Turn> _turns = new();

    internal bool IsEmpty => _turns.IsEmpty;

    internal void Enqueue(Turn turn) => _turns.Enqueue(turn);

    internal bool TryDequeue([NotNullWhen(true)] out Turn? turn) => _turns.TryDequeue(out turn);
}
