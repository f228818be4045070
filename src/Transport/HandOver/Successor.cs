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
    // Their files are not removed while it may be taking them over.
    private readonly List<NetpollConnectionListener> _given = [];

    // It goes on with them, or has them anyway.
    private readonly HashSet<NetpollConnectionListener> _claimed = [];

    // Null before it was given.
    private UnixListener? _atPath;

    internal int ProcessId => channel.Peer?.ProcessId ?? 0;

    /// <summary>It has introduced itself.</summary>
    internal bool HasBegun { get; private set; }

    /// <summary>Does it go on with this endpoint?</summary>
    internal bool Claims(NetpollConnectionListener listener) => _claimed.Contains(listener);

    /// <summary>
    /// Gives it what it asks for, until it is ready, has been told that all of it is its own, and has said that it accepts.
    /// </summary>
    /// <param name="atPath">What it gets last.</param>
    /// <param name="onBegun">Called when it has introduced itself.</param>
    /// <param name="cancellationToken">The host stops: whatever it has got is its own then.</param>
    /// <exception cref="Exception">Of any kind: it does not accept, and is not to. <see cref="Refuse"/> is to follow.</exception>
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
                case HandOverMessage.Has when HasBegun:
                    Find(message.Payload);
                    break;
                case HandOverMessage.Ready when HasBegun:
                    await GiveAllAsync(atPath, cancellationToken).ConfigureAwait(false);
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

            // The kernel may have told the other process of a connection.
            listener.LookAgain();
        }

        if (_atPath is { } atPath)
        {
            atPath.Socket.LeavesFile = false;
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

    private async Task GiveAllAsync(UnixListener atPath, CancellationToken cancellationToken)
    {
        IReadOnlyList<NetpollConnectionListener> listeners = getListeners();
        if (listeners.Count != 0 && !listeners.Any(Claims))
        {
            // It is another service, or its addresses are wrong.
            throw new InvalidDataException("It listens on none of this process's endpoints.");
        }

        // If the host stops before the answer comes, the file is the other process's all the same.
        _atPath = atPath;
        atPath.Socket.LeavesFile = true;
        channel.SendSockets(HandOverMessage.Yours, [], [atPath.Socket]);
        using DescriptorMessage? answer = await channel.ReceiveInTimeAsync(times.Exchange, cancellationToken).ConfigureAwait(false);
        switch (answer?.Kind)
        {
            case null:
                throw new EndOfStreamException("It has ended before it accepted.");
            case HandOverMessage.Mine:
                return;
            default:
                throw new InvalidDataException("It does not speak this version's protocol.");
        }
    }

    // Whoever names an endpoint goes on with it.
    private NetpollConnectionListener? Find(byte[] address)
    {
        NetpollConnectionListener? listener = SocketAddresses.Parse(address) is { } asked
            ? getListeners().FirstOrDefault(candidate =>
                !_claimed.Contains(candidate) && IsAskedFor(asked, candidate.Requested, candidate.EndPoint))
            : null;
        if (listener is not null)
        {
            _claimed.Add(listener);
        }

        return listener;
    }

    private void Give(byte[] address)
    {
        if (Find(address) is not { Sockets.CanBeHandedOver: true } listener)
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
