using System.Net;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>How accepting on an endpoint goes.</summary>
/// <param name="EndPoint">The endpoint.</param>
/// <param name="Pauses">How often accepting has paused, because the system had no room for another connection.</param>
/// <param name="IsPaused">Does it pause now, in one of the worker groups at least?</param>
internal readonly record struct ListenerState(EndPoint EndPoint, long Pauses, bool IsPaused);
