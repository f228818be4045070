using System.Net;

namespace KestrelNetpoll.Transport;

/// <summary>The connections that the kernel holds for a listening TCP socket until they are accepted.</summary>
/// <param name="EndPoint">What the socket is bound to.</param>
/// <param name="Pending">How many there are now.</param>
/// <param name="Limit">How many there may be: the backlog, as far as the kernel allows it.</param>
public readonly record struct NetpollAcceptQueueDepth(EndPoint EndPoint, int Pending, int Limit);
