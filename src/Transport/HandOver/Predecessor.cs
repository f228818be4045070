using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Listening;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>The process that serves until this one goes on with it, as this one sees it. For one caller at a time.</summary>
internal sealed class Predecessor : IDisposable
{
    private readonly NetpollRuntime _runtime;
    private readonly string _path;
    private readonly DescriptorChannel _channel;
    private readonly HandOverTimes _times;

    // It has ended, or died: nobody is asked any more.
    private bool _isGone;

    private Predecessor(NetpollRuntime runtime, string path, DescriptorChannel channel, HandOverTimes times)
    {
        _runtime = runtime;
        _path = path;
        _channel = channel;
        _times = times;
    }

    internal int ProcessId => _channel.Peer?.ProcessId ?? 0;

    /// <summary>Null: there is none.</summary>
    /// <exception cref="IOException">There is one that cannot be used; the message says why.</exception>
    /// <exception cref="SocketException">It cannot be reached.</exception>
    internal static async Task<Predecessor?> FindAsync(
        NetpollRuntime runtime, string path, HandOverTimes times, CancellationToken cancellationToken)
    {
        DescriptorChannel? channel = await ConnectAsync(runtime, path, times, cancellationToken).ConfigureAwait(false);
        if (channel is null)
        {
            return null;
        }

        try
        {
            if (!channel.IsPeerTrusted)
            {
                throw new IOException(
                    $"Whoever listens at HandOverPath '{path}' is user {channel.Peer?.UserId}, neither this process's user nor root.");
            }

            // It may be talking to another successor, and then that one answers.
            channel.Send(HandOverMessage.Hello, HandOverMessage.Version);
            using DescriptorMessage? answer =
                await channel.ReceiveInTimeAsync(times.Session + times.Exchange, cancellationToken).ConfigureAwait(false);
            switch (answer?.Kind)
            {
                case null:
                    channel.Dispose();
                    return null;
                case HandOverMessage.Welcome:
                    return new Predecessor(runtime, path, channel, times);
                default:
                    throw Refusal(answer);
            }
        }
        catch (SocketException e) when (IsEnd(e))
        {
            channel.Dispose();
            return null;
        }
        catch (Exception e)
        {
            channel.Dispose();
            throw e is TimeoutException or InvalidDataException ? new IOException($"HandOverPath '{path}': {e.Message}", e) : e;
        }
    }

    /// <summary>The sockets of an endpoint; null if it does not have that one, or has ended.</summary>
    /// <exception cref="IOException">It refuses, or what it says makes no sense, or cannot be received.</exception>
    /// <exception cref="SocketException">What it has given cannot be listened on.</exception>
    internal async Task<BoundSockets?> TryInheritAsync(
        EndPoint endPoint, NetpollTransportOptions options, CancellationToken cancellationToken)
    {
        using DescriptorMessage? answer = await ExchangeAsync(
            HandOverMessage.Ask, SocketAddresses.ToBytes(endPoint), cancellationToken).ConfigureAwait(false);
        if (answer is null)
        {
            return null;
        }

        if (answer.Kind != HandOverMessage.Sockets)
        {
            throw Refusal(answer);
        }

        if (answer.Descriptors.Count == 0)
        {
            return null;
        }

        BoundSockets sockets = EndPointBinding.Inherit(
            _runtime, answer.Descriptors, answer.Payload.AsSpan().SequenceEqual(HandOverMessage.Own), options);
        if (sockets.Distinct.All(socket => Successor.IsAskedFor(endPoint, endPoint, socket.LocalEndPoint)))
        {
            return sockets;
        }

        _ = sockets.CloseAsync();
        throw new IOException($"The process at HandOverPath '{_path}' was asked for {endPoint}, and has given {sockets.LocalEndPoint}.");
    }

    /// <summary>Says that this process is ready. <see cref="ConfirmAsync"/> is to follow.</summary>
    /// <param name="handles">The endpoints that this process listens on because somebody else gave it their sockets.</param>
    /// <param name="onUnusable">Called if what it has given cannot be listened on; then null is returned.</param>
    /// <param name="cancellationToken">The host stops.</param>
    /// <returns>The listener at the path; null if the predecessor has ended by now.</returns>
    /// <exception cref="IOException">It goes on serving, and this process must not.</exception>
    internal async Task<UnixListener?> AnnounceAsync(
        IEnumerable<EndPoint> handles, Action<SocketException> onUnusable, CancellationToken cancellationToken)
    {
        foreach (EndPoint endPoint in handles)
        {
            TrySend(HandOverMessage.Has, SocketAddresses.ToBytes(endPoint));
        }

        using DescriptorMessage? answer = await ExchangeAsync(HandOverMessage.Ready, [], cancellationToken).ConfigureAwait(false);
        switch (answer)
        {
            case null:
                return null;
            case { Kind: HandOverMessage.Yours, Descriptors.Count: 1 }:
                try
                {
                    return UnixListener.Inherit(_runtime, answer.Descriptors.Take());
                }
                catch (SocketException e)
                {
                    onUnusable(e);
                    return null;
                }

            default:
                throw Refusal(answer);
        }
    }

    /// <summary>
    /// Says that this process accepts. Waits until the other one has closed its sockets, or has ended, or should have by now.
    /// </summary>
    /// <exception cref="IOException">It had lost patience: it goes on serving, and this process must not.</exception>
    internal async Task ConfirmAsync(CancellationToken cancellationToken)
    {
        try
        {
            using DescriptorMessage? answer =
                await ExchangeUnwrappedAsync(HandOverMessage.Mine, [], cancellationToken).ConfigureAwait(false);
            if (answer?.Kind == HandOverMessage.Refused)
            {
                throw Refusal(answer);
            }
        }
        catch (Exception e) when (e is SocketException or InvalidDataException or TimeoutException or OperationCanceledException)
        {
            // It has said nothing against it, and finds what this one has said whenever it looks.
        }
    }

    public void Dispose() => _channel.Dispose();

    private static async Task<DescriptorChannel?> ConnectAsync(
        NetpollRuntime runtime, string path, HandOverTimes times, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(times.Exchange);
        try
        {
            return await DescriptorChannel.TryConnectAsync(runtime, path, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"Whoever listens at HandOverPath '{path}' accepts nobody.", e);
        }
    }

    // Null: it has ended.
    private async Task<DescriptorMessage?> ExchangeAsync(byte kind, byte[] payload, CancellationToken cancellationToken)
    {
        try
        {
            return await ExchangeUnwrappedAsync(kind, payload, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or TimeoutException or InvalidDataException)
        {
            throw new IOException($"HandOverPath '{_path}': {e.Message}", e);
        }
    }

    private async Task<DescriptorMessage?> ExchangeUnwrappedAsync(byte kind, byte[] payload, CancellationToken cancellationToken)
    {
        if (_isGone)
        {
            return null;
        }

        TrySend(kind, payload);
        try
        {
            DescriptorMessage? answer = await _channel.ReceiveInTimeAsync(_times.Exchange, cancellationToken).ConfigureAwait(false);
            _isGone = answer is null;
            return answer;
        }
        catch (SocketException e) when (IsEnd(e))
        {
            _isGone = true;
            return null;
        }
    }

    private void TrySend(byte kind, byte[] payload)
    {
        try
        {
            _channel.Send(kind, payload);
        }
        catch (SocketException)
        {
            // What it has said last, or its end, tells why.
        }
    }

    // It has ended with something unread, or before it was sent anything.
    private static bool IsEnd(SocketException e) => e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown;

    private static IOException Refusal(DescriptorMessage answer) => new(answer.Kind == HandOverMessage.Refused
        ? $"The process that serves goes on serving: {Encoding.UTF8.GetString(answer.Payload)}"
        : $"The process at HandOverPath has answered with '{(char)answer.Kind}', which makes no sense.");
}
