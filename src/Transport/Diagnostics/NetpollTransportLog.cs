using System.Net;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Everything the transport logs. Ids below 100 have the number, name and level they have in the Sockets transport, because
/// operators filter by them; a peer's behaviour never logs above Debug. Ids from 100 up are ours.
/// </summary>
internal static partial class NetpollTransportLog
{
    internal const string Category = "KestrelNetpoll.Transport";

    [LoggerMessage(4, LogLevel.Debug, @"Connection id ""{ConnectionId}"" paused.", EventName = "ConnectionPause")]
    internal static partial void ConnectionPause(ILogger logger, string connectionId);

    [LoggerMessage(5, LogLevel.Debug, @"Connection id ""{ConnectionId}"" resumed.", EventName = "ConnectionResume")]
    internal static partial void ConnectionResume(ILogger logger, string connectionId);

    [LoggerMessage(6, LogLevel.Debug, @"Connection id ""{ConnectionId}"" received FIN.", EventName = "ConnectionReadFin")]
    internal static partial void ConnectionReadFin(ILogger logger, string connectionId);

    [LoggerMessage(
        7,
        LogLevel.Debug,
        @"Connection id ""{ConnectionId}"" sending FIN because: ""{Reason}""",
        EventName = "ConnectionWriteFin")]
    internal static partial void ConnectionWriteFin(ILogger logger, string connectionId, string reason);

    [LoggerMessage(
        8,
        LogLevel.Debug,
        @"Connection id ""{ConnectionId}"" sending RST because: ""{Reason}""",
        EventName = "ConnectionWriteRst")]
    internal static partial void ConnectionWriteRst(ILogger logger, string connectionId, string reason);

    [LoggerMessage(14, LogLevel.Debug, @"Connection id ""{ConnectionId}"" communication error.", EventName = "ConnectionError")]
    internal static partial void ConnectionError(ILogger logger, string? connectionId, Exception exception);

    [LoggerMessage(19, LogLevel.Debug, @"Connection id ""{ConnectionId}"" reset.", EventName = "ConnectionReset")]
    internal static partial void ConnectionReset(ILogger logger, string connectionId);

    [LoggerMessage(
        101,
        LogLevel.Information,
        "{EndPoint} is served by netpoll: {Backend}, {WorkerCount} worker(s).",
        EventName = "ServedByNetpoll")]
    internal static partial void ServedByNetpoll(ILogger logger, EndPoint endPoint, string backend, int workerCount);

    [LoggerMessage(
        102,
        LogLevel.Information,
        "The netpoll transport cannot run here, Kestrel's other transports serve all endpoints: {Reason}",
        EventName = "NotSupported")]
    internal static partial void NotSupported(ILogger logger, string reason);

    [LoggerMessage(
        103,
        LogLevel.Warning,
        "Not accepting on {EndPoint} for {DelayMilliseconds} ms: {Reason}. The kernel keeps pending connections. "
        + "Failures so far: {Failures}.",
        EventName = "AcceptBackoff")]
    internal static partial void AcceptBackoff(ILogger logger, EndPoint endPoint, double delayMilliseconds, string reason, long failures);

    [LoggerMessage(
        104,
        LogLevel.Error,
        @"Unexpected exception on connection id ""{ConnectionId}""; the connection is closed.",
        EventName = "UnexpectedException")]
    internal static partial void UnexpectedException(ILogger logger, string? connectionId, Exception exception);

    [LoggerMessage(
        105,
        LogLevel.Error,
        @"A callback registered on ConnectionClosed of connection id ""{ConnectionId}"" threw.",
        EventName = "ConnectionClosedCallbackFailed")]
    internal static partial void ConnectionClosedCallbackFailed(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(
        106,
        LogLevel.Error,
        "Unexpected exception while accepting on {EndPoint}; trying again.",
        EventName = "UnexpectedAcceptException")]
    internal static partial void UnexpectedAcceptException(ILogger logger, EndPoint endPoint, Exception exception);

    [LoggerMessage(
        107,
        LogLevel.Warning,
        "{Connections} connection(s) were still open when the transport was disposed and did not end in time after "
        + "having been aborted.",
        EventName = "ConnectionsLeftBehind")]
    internal static partial void ConnectionsLeftBehind(ILogger logger, int connections);

    [LoggerMessage(
        108,
        LogLevel.Warning,
        "A worker that the application blocks, or keeps busy for long, cannot be replaced: there are {Workers} worker "
        + "threads, and {Bound}. Requests wait until a handler returns.",
        EventName = "WorkerLimitReached")]
    internal static partial void WorkerLimitReached(ILogger logger, int workers, string bound, Exception? exception);

    [LoggerMessage(
        109,
        LogLevel.Error,
        "Unhandled exception of application code that nobody awaits, such as an async void method; the worker and all "
        + "connections go on.",
        EventName = "ApplicationCallbackFailed")]
    internal static partial void ApplicationCallbackFailed(ILogger logger, Exception exception);

    [LoggerMessage(110, LogLevel.Information, "Accepting on {EndPoint} again. Failures so far: {Failures}.", EventName = "AcceptingAgain")]
    internal static partial void AcceptingAgain(ILogger logger, EndPoint endPoint, long failures);

    [LoggerMessage(
        111,
        LogLevel.Warning,
        "The process may have {Limit} descriptors, and {InUse} are in use already: {Connections} are for connections, "
        + "{Reserve} are left to the rest of the process, which may need more. Raise the limit (ulimit -n).",
        EventName = "DescriptorsScarce")]
    internal static partial void DescriptorsScarce(ILogger logger, int limit, int inUse, int connections, int reserve);

    [LoggerMessage(
        112,
        LogLevel.Warning,
        "{Threads} worker thread(s) were left behind when the transport was disposed: handlers do not return from "
        + "them. They end when the handlers do, or with the process.",
        EventName = "WorkersLeftBehind")]
    internal static partial void WorkersLeftBehind(ILogger logger, int threads);

    [LoggerMessage(113, LogLevel.Error, "Unexpected exception while {Step}; the stop goes on.", EventName = "UnexpectedStopException")]
    internal static partial void UnexpectedStopException(ILogger logger, string step, Exception exception);

    [LoggerMessage(
        114,
        LogLevel.Information,
        "{EndPoint} is left to Kestrel's other transports, as its options say.",
        EventName = "LeftToOthers")]
    internal static partial void LeftToOthers(ILogger logger, EndPoint endPoint);

    [LoggerMessage(
        115,
        LogLevel.Warning,
        "{Section} says otherwise, but code has called {Method} for {EndPoint}, or for all endpoints by default, and code wins. "
        + "Take one of the two away.",
        EventName = "SectionOverruled")]
    internal static partial void SectionOverruled(ILogger logger, EndPoint endPoint, string section, string method);

    [LoggerMessage(
        116,
        LogLevel.Warning,
        "{Method} of endpoint {EndPoint} has no effect: Kestrel has bound it without asking netpoll, or by way of another transport that "
        + "asks for an endpoint of its own making. Register that one before netpoll, or let it hand the endpoint on as it is.",
        EventName = "ChoiceMissed")]
    internal static partial void ChoiceMissed(ILogger logger, string method, string endPoint);

    [LoggerMessage(
        117,
        LogLevel.Warning,
        "The service manager could not be told {State} at {Socket} (NOTIFY_SOCKET).",
        EventName = "ServiceManagerNotTold")]
    internal static partial void ServiceManagerNotTold(ILogger logger, string state, string socket, Exception? exception);

    [LoggerMessage(
        EventId = 120,
        Message = @"Thread {ThreadId} has been blocked for {BlockedMilliseconds} ms by {Cause}. Request: {Request}. "
            + @"Connection id ""{ConnectionId}"", from {RemoteEndPoint}, on {LocalEndPoint}. Others that were not logged: {Suppressed}.",
        EventName = "BlockedTurn")]
    internal static partial void BlockedTurn(
        ILogger logger,
        LogLevel level,
        int threadId,
        long blockedMilliseconds,
        string cause,
        string request,
        string? connectionId,
        EndPoint? remoteEndPoint,
        EndPoint? localEndPoint,
        long suppressed);

    [LoggerMessage(
        121,
        LogLevel.Error,
        "Whoever listens to INetpollDiagnostics threw, or it could not be told. Other failures, not logged: {Suppressed}.",
        EventName = "DiagnosticsFailed")]
    internal static partial void DiagnosticsFailed(ILogger logger, long suppressed, Exception exception);

    [LoggerMessage(
        130, LogLevel.Debug, @"Connection id ""{ConnectionId}"" has reached {Limit} ({Value}).", EventName = "ConnectionLimitReached")]
    internal static partial void ConnectionLimitReached(ILogger logger, string connectionId, string limit, TimeSpan value);

    [LoggerMessage(
        131,
        LogLevel.Debug,
        "A connection from {RemoteEndPoint} to {EndPoint} was not accepted: {Option}.",
        EventName = "ConnectionRefused")]
    internal static partial void ConnectionRefused(ILogger logger, EndPoint? remoteEndPoint, EndPoint endPoint, string option);

    [LoggerMessage(
        132,
        LogLevel.Error,
        "OnAccept threw at a connection to {EndPoint}, which was refused, as is any at which it throws. Said once.",
        EventName = "AcceptHookFailed")]
    internal static partial void AcceptHookFailed(ILogger logger, EndPoint endPoint, Exception exception);

    [LoggerMessage(
        133,
        LogLevel.Information,
        "The kernel has no Multipath TCP, or none with these options, or it is off (net.mptcp.enabled): {EndPoint} is served with TCP.",
        EventName = "NoMultipathTcp")]
    internal static partial void NoMultipathTcp(ILogger logger, EndPoint endPoint);

    [LoggerMessage(
        140,
        LogLevel.Information,
        "Process {ProcessId} serves from now on. This one ends its {Connections} connection(s), and then stops.",
        EventName = "HandedOver")]
    internal static partial void HandedOver(ILogger logger, int processId, int connections);

    [LoggerMessage(
        141, LogLevel.Information, "This process serves from now on, in the place of process {ProcessId}.", EventName = "TookOver")]
    internal static partial void TookOver(ILogger logger, int processId);

    [LoggerMessage(
        142,
        LogLevel.Warning,
        "Process {ProcessId} wanted to take over, and has not got as far. This one serves as before.",
        EventName = "HandOverFailed")]
    internal static partial void HandOverFailed(ILogger logger, int processId, Exception exception);

    [LoggerMessage(
        143,
        LogLevel.Warning,
        "No process can take over from this one for now: it cannot listen, or accept, at HandOverPath '{Path}'.",
        EventName = "HandOverUnavailable")]
    internal static partial void HandOverUnavailable(ILogger logger, string path, Exception exception);

    [LoggerMessage(
        144,
        LogLevel.Error,
        "The process that serves has not let this one take over, and goes on serving. This one stops.",
        EventName = "HandOverRefused")]
    internal static partial void HandOverRefused(ILogger logger, Exception exception);

    [LoggerMessage(
        145,
        LogLevel.Information,
        "{Connections} connection(s) are still open {Seconds} s after {Occasion}. The oldest: {Oldest}.",
        EventName = "StillConnected")]
    internal static partial void StillConnected(ILogger logger, int connections, long seconds, string occasion, string oldest);

    [LoggerMessage(
        146,
        LogLevel.Warning,
        "systemd has started this process without NOTIFY_SOCKET, and would not learn of the one that takes over next. "
        + "The unit needs NotifyAccess=exec.",
        EventName = "NotifySocketMissing")]
    internal static partial void NotifySocketMissing(ILogger logger);

    [LoggerMessage(
        147,
        LogLevel.Warning,
        "{EndPoint} is not served any more: process {ProcessId}, which has taken over, does not listen there.",
        EventName = "EndpointDropped")]
    internal static partial void EndpointDropped(ILogger logger, EndPoint endPoint, int processId);
}
