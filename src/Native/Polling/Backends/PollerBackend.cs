namespace KestrelNetpoll.Native.Polling;

/// <summary>The backends that there are.</summary>
internal enum PollerBackend
{
    Epoll,
    Poll,
}
