using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>Descriptors that another process has passed. Whatever nobody takes is closed. Not thread-safe.</summary>
internal sealed class ReceivedDescriptors(SystemCalls systemCalls) : IDisposable
{
    private readonly Queue<int> _fds = new();

    /// <summary>How many are left.</summary>
    internal int Count => _fds.Count;

    internal void Add(ReadOnlySpan<int> fds)
    {
        foreach (int fd in fds)
        {
            _fds.Enqueue(fd);
        }
    }

    /// <summary>The first that is left; the caller's to close from now on.</summary>
    /// <exception cref="InvalidOperationException">None is left.</exception>
    internal int Take() => _fds.Dequeue();

    public void Dispose()
    {
        while (_fds.TryDequeue(out int fd))
        {
            systemCalls.Close(fd);
        }
    }
}
