using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The turns of a group that no processor has taken: hops from other threads, woken waiters, yields, and what did not fit into a
/// processor's own queue. First in, first out; any thread adds, any worker of the group takes. Allocates nothing in the steady state.
/// </summary>
internal sealed class GroupQueue
{
    private readonly ConcurrentQueue<Turn> _turns = new();

    internal bool IsEmpty => _turns.IsEmpty;

    /// <summary>Dearer than <see cref="IsEmpty"/>.</summary>
    internal int Count => _turns.Count;

    internal void Enqueue(Turn turn) => _turns.Enqueue(turn);

    internal bool TryDequeue([NotNullWhen(true)] out Turn? turn) => _turns.TryDequeue(out turn);
}
