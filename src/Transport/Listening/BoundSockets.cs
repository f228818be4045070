using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.Listening;

/// <summary>
/// The listening sockets of one endpoint: one descriptor for each worker group, of one socket or of one each
/// (<see cref="AcceptStrategy"/>).
/// </summary>
internal sealed class BoundSockets
{
    private readonly List<ListenSocket> _sockets = [];

    // What the application's CreateBoundListenSocket made; ours to dispose of.
    private readonly Socket? _created;

    // So many come first; the others are only other numbers of theirs.
    private int _distinct;

    private BoundSockets(Socket? created, bool isOwn) => (_created, IsOwn) = (created, isOwn);

    internal IReadOnlyList<ListenSocket> Sockets => _sockets;

    /// <summary>Without those that are only another number of one of them.</summary>
    internal IEnumerable<ListenSocket> Distinct => _sockets.Take(_distinct);

    /// <summary>Were they made by a transport like this one, here or where they were inherited from?</summary>
    internal bool IsOwn { get; }

    /// <summary>May another process go on with them? A socket of the application's may do anything when it is disposed of.</summary>
    internal bool CanBeHandedOver => _created is null;

    /// <summary>The file of a Unix socket is another process's to remove.</summary>
    internal bool LeaveFile
    {
        set => _sockets.ForEach(socket => socket.LeavesFile = value);
    }

    internal EndPoint LocalEndPoint => _sockets[0].LocalEndPoint;

    /// <summary>Binds, and listens.</summary>
    /// <exception cref="SocketException">The kernel refuses.</exception>
    internal static BoundSockets Bind(NetpollRuntime runtime, EndPoint endPoint, ListenSocketOptions options, AcceptStrategy strategy)
    {
        // One group needs one socket, and a second process that binds the address must then be refused, unless it is wanted.
        bool onePerGroup = strategy == AcceptStrategy.ReusePort && endPoint is IPEndPoint && runtime.Groups.Count > 1;
        return Open(
            runtime,
            options with { ReusePort = onePerGroup || options.ReusePort },
            created: null,
            isOwn: true,
            onePerGroup,
            (first, group, settings) => ListenSocket.Listen(runtime, first ?? endPoint, settings, group));
    }

    /// <summary>Listens on a socket that stays its owner's.</summary>
    /// <exception cref="SocketException">It cannot be listened on.</exception>
    internal static BoundSockets Borrow(NetpollRuntime runtime, int fd, ListenSocketOptions options) =>
        Open(
            runtime,
            options with { LeavesListener = true },
            created: null,
            isOwn: false,
            onePerGroup: false,
            (_, group, settings) => ListenSocket.Borrow(runtime, fd, settings, group));

    /// <summary>
    /// Listens on a socket that the application has made and gives away, also if this throws. It may be one more owner of an inherited
    /// handle, which is then left as it was: <see cref="ListenSocketOptions.LeavesListener"/>.
    /// </summary>
    /// <exception cref="SocketException">It cannot be listened on; <paramref name="what"/> says in the message whose it is.</exception>
    internal static BoundSockets TakeOver(NetpollRuntime runtime, Socket socket, string what, ListenSocketOptions options) =>
        Open(
            runtime,
            options,
            created: socket,
            isOwn: false,
            onePerGroup: false,
            (_, group, settings) => ListenSocket.Borrow(runtime, (int)socket.Handle, settings, group, what));

    /// <summary>
    /// Goes on with the sockets of another process, which serves them still, perhaps with another number of groups: every socket is
    /// accepted from, and every group accepts. Those that were not taken from <paramref name="descriptors"/> are the caller's to close.
    /// </summary>
    /// <exception cref="SocketException">One of them cannot be listened on.</exception>
    internal static BoundSockets Inherit(NetpollRuntime runtime, ReceivedDescriptors descriptors, bool isOwn, ListenSocketOptions options)
    {
        IReadOnlyList<WorkerGroup> groups = runtime.Groups;
        var bound = new BoundSockets(created: null, isOwn);
        options = options with { Shared = descriptors.Count < groups.Count };
        try
        {
            while (descriptors.Count != 0)
            {
                WorkerGroup group = groups[bound._distinct % groups.Count];
                bound._sockets.Add(ListenSocket.Inherit(runtime, descriptors.Take(), options, group, isOwn));
                bound._distinct++;
            }

            for (int i = bound._distinct; i < groups.Count; i++)
            {
                bound._sockets.Add(bound._sockets[i % bound._distinct].ShareWith(groups[i]));
            }

            return bound;
        }
        catch
        {
            _ = bound.CloseAsync();
            throw;
        }
    }

    /// <summary>
    /// Completes when the address is free, with the exception of a socket of the application's that cannot be disposed of. May be called
    /// again.
    /// </summary>
    internal Task CloseAsync()
    {
        foreach (ListenSocket socket in _sockets)
        {
            socket.RemoveFile();
        }

        Task closed = Task.WhenAll(_sockets.Select(static socket => socket.CloseAsync()));
        try
        {
            // Removes the file of a Unix socket, as well.
            _created?.Dispose();
        }
        catch (Exception e)
        {
            // It may be of a class of the application's.
            return Task.WhenAll(closed, Task.FromException(e));
        }

        return closed;
    }

    private static BoundSockets Open(
        NetpollRuntime runtime,
        ListenSocketOptions options,
        Socket? created,
        bool isOwn,
        bool onePerGroup,
        Func<EndPoint?, WorkerGroup, ListenSocketOptions, ListenSocket> open)
    {
        IReadOnlyList<WorkerGroup> groups = runtime.Groups;
        var bound = new BoundSockets(created, isOwn) { _distinct = onePerGroup ? groups.Count : 1 };
        try
        {
            ListenSocket first = open(null, groups[0], options with { Shared = groups.Count > 1 && !onePerGroup });
            bound._sockets.Add(first);
            foreach (WorkerGroup group in groups.Skip(1))
            {
                // The first one has found out which port it is.
                bound._sockets.Add(onePerGroup ? open(first.LocalEndPoint, group, options) : first.ShareWith(group));
            }

            return bound;
        }
        catch
        {
            _ = bound.CloseAsync();
            throw;
        }
    }
}
