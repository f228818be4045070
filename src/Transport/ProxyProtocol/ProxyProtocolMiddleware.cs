using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelNetpoll.Transport.ProxyProtocol;

/// <summary>
/// Takes the header from the front of a connection and lets what follows it pass, byte by byte as it came:
/// <code>
///   the peer       a header          Required   otherwise
///   trusted        valid             served     served, endpoints as it says
///   trusted        invalid           closed     closed
///   trusted        none              closed     served as it is
///   trusted        late, cut off     closed     closed
///   not trusted    not looked at     closed     -
///   not trusted    begins as one     -          closed
///   not trusted    none              -          served as it is
/// </code>
/// </summary>
internal sealed class ProxyProtocolMiddleware(ConnectionDelegate next, ProxyProtocolSettings settings)
{
    internal async Task OnConnectionAsync(ConnectionContext connection)
    {
        // Its header has been read: of two calls for one endpoint the first has effect.
        if (connection.Features.Get<IProxyProtocolFeature>() is not null)
        {
            await next(connection).ConfigureAwait(false);
            return;
        }

        EndPoint? peer = connection.RemoteEndPoint;
        bool trusted = settings.Trusted.Contain(peer);
        if (!trusted && settings.Required)
        {
            Refuse(connection, "it is not trusted to send a PROXY header, and one is required");
            return;
        }

        ProxyHeader header = await ReadInTimeAsync(connection, trusted).ConfigureAwait(false);
        if (header.Defect is { } defect)
        {
            Refuse(connection, defect);
            return;
        }

        if (header.Feature is not { } feature)
        {
            await next(connection).ConfigureAwait(false);
            return;
        }

        EndPoint? local = connection.LocalEndPoint;
        feature.SocketRemoteEndPoint = peer;
        feature.SocketLocalEndPoint = local;
        connection.Features.Set<IProxyProtocolFeature>(feature);
        if (feature.SourceEndPoint is null)
        {
            await next(connection).ConfigureAwait(false);
            return;
        }

        connection.RemoteEndPoint = feature.SourceEndPoint;
        connection.LocalEndPoint = feature.DestinationEndPoint;
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            // Kestrel counts a connection in when it begins and out when it has ended, both times under its local endpoint.
            connection.RemoteEndPoint = peer;
            connection.LocalEndPoint = local;
        }
    }

    // With RST: nothing of what the peer may still be sending is worth taking in.
    private void Refuse(ConnectionContext connection, string reason)
    {
        ProxyProtocolLog.Refused(settings.Logger, connection.ConnectionId, connection.RemoteEndPoint, reason);
        connection.Abort(new ConnectionAbortedException($"PROXY protocol: {reason}."));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ProxyHeader> ReadInTimeAsync(ConnectionContext connection, bool trusted)
    {
        var lifetime = connection.Features.Get<IConnectionLifetimeNotificationFeature>();
        CancellationToken stopping = lifetime?.ConnectionClosedRequested ?? default;
        CancellationTokenSource deadline = settings.Deadlines.Get();
        CancellationTokenRegistration registration = stopping.UnsafeRegister(
            static deadline => ((CancellationTokenSource)deadline!).Cancel(), deadline);
        try
        {
            deadline.CancelAfter(settings.Timeout);
            return await ReadAsync(connection.Transport.Input, trusted, deadline.Token, stopping).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return ProxyHeader.Invalid("the connection was aborted before its PROXY header was complete");
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            return ProxyHeader.Invalid("the connection failed before its PROXY header was complete");
        }
        finally
        {
            // Not before it cannot be cancelled any more is it fit for the next connection.
            registration.Dispose();
            settings.Deadlines.Return(deadline);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ProxyHeader> ReadAsync(
        PipeReader input, bool trusted, CancellationToken deadline, CancellationToken stopping)
    {
        long examined = 0;
        while (true)
        {
            ReadResult read;
            bool isLast = false;
            try
            {
                // Also if bytes are there already: the transport decides on which thread the connection goes on.
                read = await input.ReadAsync(deadline).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (deadline.IsCancellationRequested)
            {
                // What came before the server began to stop is still served.
                isLast = true;
                if (!stopping.IsCancellationRequested || !input.TryRead(out read))
                {
                    return ProxyHeader.Invalid(
                        stopping.IsCancellationRequested
                            ? "the server stops, and its PROXY header is not complete"
                            : "its PROXY header has not come in time");
                }
            }

            ProxyHeader header = Judge(read.Buffer, trusted);
            if (header.Status != ProxyHeaderStatus.Incomplete)
            {
                // What follows has not been looked at, and whoever reads next must find it. Nothing may be examined less than before.
                SequencePosition consumed = read.Buffer.GetPosition(header.Length);
                input.AdvanceTo(consumed, header.Length != 0 ? consumed : read.Buffer.GetPosition(examined));
                return header;
            }

            examined = read.Buffer.Length;
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted)
            {
                return ProxyHeader.Invalid("it ended before its PROXY header was complete");
            }

            if (isLast || read.IsCanceled)
            {
                return ProxyHeader.Invalid("the server stops, and its PROXY header is not complete");
            }
        }
    }

    private ProxyHeader Judge(in ReadOnlySequence<byte> bytes, bool trusted)
    {
        if (!trusted)
        {
            return ProxySignature.Find(bytes) switch
            {
                ProxySignature.Kind.Undecided => ProxyHeader.Incomplete,
                ProxySignature.Kind.None => ProxyHeader.Absent,
                _ => ProxyHeader.Invalid("it is not trusted to send a PROXY header, and has sent one"),
            };
        }

        ProxyHeader header = ProxyHeader.Parse(bytes, settings.MaxHeaderLength);
        return header.Status == ProxyHeaderStatus.Absent && settings.Required ? ProxyHeader.Invalid("it sent no PROXY header") : header;
    }
}
