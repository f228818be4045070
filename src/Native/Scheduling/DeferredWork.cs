namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What a blocked turn has deferred, as a turn of its own: it may log, hence block, too.</summary>
internal sealed class DeferredWork(Turn blocked) : Turn
{
    internal override void Run() => blocked.DoDeferredWork();

    internal override void OnUnhandledException(Exception exception) => blocked.OnUnhandledException(exception);
}
