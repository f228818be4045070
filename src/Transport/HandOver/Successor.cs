using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Listening;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>A process that wants to go on with what this one serves, as this one sees it. Used once.</summary>
/// <param name="channel">The connection; its owner disposes of it.</param>
/// <param name="getListeners">What can be handed over now.</param>
/// <param name="times">How long it may take.</param>
internal sealed class Successor(DescriptorChannel channel, Func<IReadOnlyList<NetpollConnectionListener>> getListeners, HandOverTimes times)
{
    // Its own files are not removed while it may be taking them over.
    private readonly List<NetpollConnectionListener> _given = [];

    internal int ProcessId => channel.Peer?.ProcessId ?? 0;

    /// <summary>It has introduced itself.</summary>
    internal bool HasBegun { get; private set; }

    /// <summary>Gives it what it asks for, until it is ready, and has been told that all of it is its own.</summary>
    /// <param name="atPath">What it gets last.</param>
    /// <param name="onBegun">Called when it has introduced itself.</param>
    /// <param name="cancellationToken">The host stops: whatever it has got is its own then.</param>
    /// <exception cref="Exception">Of any kind: it is not ready, and will not be. <see cref="Refuse"/> is to follow.</exception>
    internal async Task ServeAsync(UnixListener atPath, Action onBegun, CancellationToken cancellationToken)
    {
        if (!channel.IsPeerTrusted)
        {
            throw new InvalidDataException($"It is user {channel.Peer?.UserId}, neither this process's user nor root.");
        }

        using var session = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        session.CancelAfter(times.Session);
        TimeSpan limit = times.Exchange;
        while (true)
        {
            using DescriptorMessage message = await ReceiveAsync(limit, session.Token, cancellationToken).ConfigureAwait(false);
            limit = times.Session;
            switch (message.Kind)
            {
                case HandOverMessage.Hello when !HasBegun && message.Payload.AsSpan().SequenceEqual(HandOverMessage.Version):
                    HasBegun = true;
                    onBegun();
                    channel.Send(HandOverMessage.Welcome, []);
                    break;
                case HandOverMessage.Ask when HasBegun:
                    Give(message.Payload);
                    break;
                case HandOverMessage.Ready when HasBegun:
                    channel.SendSockets(HandOverMessage.Yours, [], [atPath.Socket]);
                    return;
                default:
                    throw new InvalidDataException("It does not speak this version's protocol.");
            }
        }
    }

    /// <summary>Keeps everything, and tells it so, if it is still there.</summary>
    internal void Refuse(string reason)
    {
        foreach (NetpollConnectionListener listener in _given)
        {
            listener.Sockets.LeaveFile = false;
        }

        try
        {
            byte[] text = Encoding.UTF8.GetBytes(reason);
            channel.Send(HandOverMessage.Refused, text.AsSpan(0, Math.Min(text.Length, DescriptorChannel.MaxPayload)));
        }
        catch (SocketException)
        {
            // It is not.
        }
    }

    /// <summary>After the last message: it need not wait for anything that this process has.</summary>
    internal void SayClosed()
    {
        try
        {
            channel.Send(HandOverMessage.Closed, []);
        }
        catch (SocketException)
        {
            // It has died; there is nothing left to take back.
        }
    }

    /// <summary>Is a listener the one that somebody asks for? By its real address, or as it was asked for here, also with port 0.</summary>
    internal static bool IsAskedFor(EndPoint asked, EndPoint requested, EndPoint real) =>
        asked.Equals(real)
        || (asked.Equals(requested)
            && asked is IPEndPoint { Port: 0 } any && real is IPEndPoint bound && any.Address.Equals(bound.Address));

    private async Task<DescriptorMessage> ReceiveAsync(TimeSpan limit, CancellationToken session, CancellationToken host)
    {
        try
        {
            return await channel.ReceiveInTimeAsync(limit, session).ConfigureAwait(false)
                ?? throw new EndOfStreamException("It has ended before it was ready.");
        }
        catch (OperationCanceledException) when (!host.IsCancellationRequested)
        {
            throw new TimeoutException($"It is not ready after {times.Session}.");
        }
    }

    private void Give(byte[] address)
    {
        NetpollConnectionListener? listener = SocketAddresses.Parse(address) is { } asked
            ? getListeners().FirstOrDefault(candidate => candidate.Sockets.CanBeHandedOver
                && !_given.Contains(candidate)
                && IsAskedFor(asked, candidate.Requested, candidate.EndPoint))
            : null;
        if (listener is null)
        {
            channel.Send(HandOverMessage.Sockets, HandOverMessage.Borrowed);
            return;
        }

        _given.Add(listener);
        listener.Sockets.LeaveFile = true;
        channel.SendSockets(
            HandOverMessage.Sockets,
            listener.Sockets.IsOwn ? HandOverMessage.Own : HandOverMessage.Borrowed,
            [.. listener.Sockets.Distinct]);
    }
}
