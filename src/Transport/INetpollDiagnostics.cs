namespace KestrelNetpoll.Transport;

/// <summary>
/// What the netpoll transport notices while it runs, for code that wants to react to it, as a service: <c>UseNetpollTransport</c> registers
/// one. Thread-safe.
/// </summary>
public interface INetpollDiagnostics
{
    /// <summary>
    /// Occurs when a turn has been blocked for <see cref="NetpollTransportOptions.BlockedTurnThreshold"/>, and again when it has been
    /// blocked for 10, 100 … times as long. Raised on the thread pool, one after the other: a handler that blocks delays the next. While
    /// 256 of them wait, more are left out. What a handler throws is logged, and otherwise ignored.
    /// </summary>
    /// <remarks>
    /// Not raised while the option is off, nor for code that does not run on workers: see <see cref="ApplicationScheduling"/>. The sender
    /// is this service.
    /// </remarks>
    event EventHandler<BlockedTurnEventArgs>? BlockedTurn;
}
