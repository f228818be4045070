using System.Net;

namespace KestrelNetpoll.Transport;

/// <summary>A worker thread that has been kept by the application for longer than <see
/// cref="NetpollTransportOptions.BlockedTurnThreshold"/>.</summary>
/// <remarks>It says what was found at one moment; the thread may have gone on since. Immutable, so safe to use from any thread.</remarks>
public sealed class BlockedTurnEventArgs : EventArgs
{
    internal BlockedTurnEventArgs()
    {
    }

    /// <summary>Gets for how long it had been blocked, at least: the transport may have seen it some milliseconds after it began.</summary>
    public TimeSpan BlockedFor { get; internal init; }

    /// <summary>Gets what the thread was doing.</summary>
    public BlockedTurnCause Cause { get; internal init; }

    /// <summary>Gets the kernel call in which the thread slept, such as <c>recvfrom</c>.</summary>
    /// <value>
    /// Its name, or its number; where the kernel shows no call, the function of the kernel; <see langword="null"/> if it shows neither, and
    /// for all other causes than <see cref="BlockedTurnCause.KernelCall"/>.
    /// </value>
    public string? KernelCall { get; internal init; }

    /// <summary>Gets the id of the connection that the thread serves, as in log entries and in <c>HttpContext.Connection.Id</c>.</summary>
    /// <value><see langword="null"/> if it serves none, as when it accepts.</value>
    public string? ConnectionId { get; internal init; }

    /// <summary>Gets the peer of the connection.</summary>
    /// <value><see langword="null"/> without a connection, or if the kernel did not say.</value>
    public EndPoint? RemoteEndPoint { get; internal init; }

    /// <summary>Gets the server's end of the connection, or the endpoint that connections are accepted from.</summary>
    /// <value><see langword="null"/> if the thread serves neither.</value>
    public EndPoint? LocalEndPoint { get; internal init; }

    /// <summary>Gets the HTTP method of the request that is handled.</summary>
    /// <value><see langword="null"/> unless <see cref="NetpollTransportOptions.NameBlockedRequests"/> is set and a request is being
    /// handled.</value>
    public string? Method { get; internal init; }

    /// <summary>Gets the path of the request, as the client has sent it, decoded: it may hold any character, such as the end of a
    /// line.</summary>
    /// <value>As for <see cref="Method"/>.</value>
    public string? Path { get; internal init; }

    /// <summary>Gets the pattern of the request's route, such as <c>/orders/{id}</c>.</summary>
    /// <value><see langword="null"/> as for <see cref="Method"/>, and if the request has not been routed.</value>
    public string? Route { get; internal init; }

    /// <summary>Gets the kernel's id of the thread, as <c>dotnet-stack</c>, <c>gdb</c> and <c>/proc/PID/task</c> show it.</summary>
    public int ThreadId { get; internal init; }
}
