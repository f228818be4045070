using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Output that says how often it was to be sent, and does what the test wants then.</summary>
internal sealed class HeldTurn(Action? send = null) : HeldOutput
{
    private int _runs;
    private long _dueAt;
    private Exception? _exception;

    internal int Runs => Volatile.Read(ref _runs);

    internal Exception? Exception => Volatile.Read(ref _exception);

    internal override long DueAt => Volatile.Read(ref _dueAt);

    internal void HoldUntil(long time) => Volatile.Write(ref _dueAt, time);

    internal override void Run()
    {
        Volatile.Write(ref _dueAt, 0);
        send?.Invoke();
        Interlocked.Increment(ref _runs);
    }

    internal override void OnUnhandledException(Exception exception) => Volatile.Write(ref _exception, exception);
}
