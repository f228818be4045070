namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// A buffer for the events of one wait. Each thread that waits has its own; the backend keeps its native buffer in a subclass.
/// </summary>
internal abstract class PollEventBatch(int capacity)
{
    private readonly PollEvent[] _events = new PollEvent[capacity];

    internal int Capacity => _events.Length;

    /// <summary>How many events the next wait may fetch: 1 to <see cref="Capacity"/>. For the thread that waits.</summary>
    internal int Limit { get; set; } = capacity;

    internal int Count { get; private set; }

    internal bool IsFull => Count == Limit;

    internal ref readonly PollEvent this[int index] => ref _events[index];

    internal void Clear() => Count = 0;

    internal void Add(PollEvent pollEvent) => _events[Count++] = pollEvent;
}
