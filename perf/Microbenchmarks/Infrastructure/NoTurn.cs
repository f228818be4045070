using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

/// <summary>A turn that is passed around, and does nothing if it runs.</summary>
internal sealed class NoTurn : Turn
{
    internal override void Run()
    {
    }

    internal override void OnUnhandledException(Exception exception) =>
        throw new InvalidOperationException("The turn of a benchmark failed.", exception);
}
