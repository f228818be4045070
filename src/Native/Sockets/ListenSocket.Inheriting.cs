using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>A listening socket that one process has made, and another one goes on with.</summary>
internal sealed partial class ListenSocket
{
    private volatile bool _leavesFile;

    /// <summary>The file of a Unix socket is another process's to remove.</summary>
    internal bool LeavesFile
    {
        get => _leavesFile;
        set => _leavesFile = value;
    }

    /// <summary>
    /// Goes on with a socket that listens, of which another process has passed a descriptor; it is owned from now on, also if this throws.
    /// The other process may be serving it still: its options stay as they are, but for those that only a listener has. It becomes
    /// non-blocking, for both. What a connection lacks, compared with the options here, is set on it. The file of a Unix socket is left to
    /// the other one (<see cref="LeavesFile"/>), or for good to whoever has made it, if that was no transport.
    /// </summary>
    /// <param name="runtime">Serves it.</param>
    /// <param name="fd">The descriptor.</param>
    /// <param name="options">How to listen.</param>
    /// <param name="group">The group to register with.</param>
    /// <param name="isOwn">Was it made by a transport like this one, and so has no surprises, and a file that is a transport's to
    /// remove?</param>
    /// <exception cref="SocketException">It does not listen, or the kernel refuses.</exception>
    internal static ListenSocket Inherit(NetpollRuntime runtime, int fd, ListenSocketOptions options, WorkerGroup group, bool isOwn)
    {
        ListenSocket socket = CreateInherited(runtime, fd, options, group, isOwn);
        return Register(socket, options.Shared ? PollInterest.SharedListener : PollInterest.Everything);
    }

    /// <summary>Whoever waits for connections looks once more: another process may have been told of one, and have left it.</summary>
    internal void WakeAcceptor() => Wake(PollMode.Read);

    private static ListenSocket CreateInherited(
        NetpollRuntime runtime, int fd, ListenSocketOptions options, WorkerGroup group, bool isOwn)
    {
        const string What = "the socket that was handed over";
        SystemCalls systemCalls = runtime.SystemCalls;
        try
        {
            EndPoint endPoint = ListenSocketSetup.CheckListener(systemCalls, fd, What);
            ListenSocketSetup.MakeNonBlocking(systemCalls, fd, What);
            ListenSocketSetup.SetOptionsOfInherited(systemCalls, fd, endPoint, options);
            ListenSocketSetup.Listen(systemCalls, fd, options.Backlog);
            bool isUnix = endPoint.AddressFamily == AddressFamily.Unix;
            return new ListenSocket(fd, group, systemCalls)
            {
                LocalEndPoint = endPoint,
                LeavesFile = true,
                File = isOwn && UnixSocketFile.PathOf(endPoint) is { } path ? UnixSocketFile.Remember(path, systemCalls) : null,
                AcceptedOptions =
                [
                    .. SocketOption.OfConnections(options, SocketAddresses.DomainOf(endPoint))
                        .Where(option => isUnix || !option.IsSetOn(fd, systemCalls)),
                ],
                SharesAddress = isUnix || (isOwn && !IsWildcard(endPoint)),
            };
        }
        catch
        {
            systemCalls.Close(fd);
            throw;
        }
    }
}
