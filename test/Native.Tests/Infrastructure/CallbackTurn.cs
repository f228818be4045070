using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>A turn made of delegates, which counts the runs that have ended.</summary>
internal sealed class CallbackTurn(Action? run = null, Action<Exception>? onUnhandledException = null) : Turn
{
    private int _runs;

    internal int Runs => Volatile.Read(ref _runs);

    internal override void Run()
    {
        try
        {
            run?.Invoke();
        }
        finally
        {
            Interlocked.Increment(ref _runs);
        }
    }

    internal override void OnUnhandledException(Exception exception) => onUnhandledException?.Invoke(exception);
}
