using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>Asks the kernel about threads, one after the other, and keeps what that takes. Not thread-safe.</summary>
internal sealed class ThreadLocator
{
    private KernelFiles? _files;

    internal ThreadWhereabouts Find(SystemCalls systemCalls, int threadId)
    {
        if (_files?.SystemCalls != systemCalls)
        {
            _files = new KernelFiles(systemCalls);
        }

        return ThreadWhereabouts.Ask(_files, threadId);
    }
}
