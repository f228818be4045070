using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>A turn made of delegates, which counts its runs.</summary>
internal sealed class CallbackTurn(Action? run = null, Action<Exception>? onUnhandledException = null) : Turn
{
    private int _runs;

    internal int Runs => Volatile.Read(ref _runs);

    internal override void Run()
    {
        Interlocked.Increment(ref _runs);
        run?.Invoke();
    }

    internal override void OnUnhandledException(Exception exception) => onUnhandledException?.Invoke(exception);
}
