using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

internal static class PollerExtensions
{
    /// <summary>Registers a descriptor number that nothing else owns. Null: refused, see the error.</summary>
    internal static PollDescriptor? Open(this Poller poller, int fd, out Errno error)
    {
        PollDescriptor? slot = null;
        error = poller.Open(fd, hangupWaiter: null, ref slot);
        Assert.Equal(error == Errno.Success, slot is not null);
        return slot;
    }

    /// <summary>Evicts and unregisters it. The file stays open.</summary>
    internal static void EvictAndClose(this Poller poller, int fd, PollDescriptor descriptor)
    {
        descriptor.Evict();
        poller.Close(fd, descriptor);
    }
}
