namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Keeps one idle operation. An operation leaves it when it starts and returns when its outcome has been collected, which may be
/// after the next one has started: then there are two, and one is kept. Thread-safe. Mutable struct: a field, never copied.
/// </summary>
/// <typeparam name="T">The operation.</typeparam>
internal struct OperationCache<T>
    where T : class
{
    private T? _idle;

    internal T? TryTake() => Interlocked.Exchange(ref _idle, null);

    internal void Return(T operation) => Volatile.Write(ref _idle, operation);
}
