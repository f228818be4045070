using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A Unix socket at a path on which other processes of the same user are listened to, and which one of them may be given: the file stays
/// then, and so does who has connected and was not accepted yet. One accept at a time.
/// </summary>
/// <remarks>
/// Waits in the engine, although workers have more to do: the framework does not take a socket that it closes out of its epoll, which goes
/// on watching it then, since another process has it open.
/// </remarks>
internal sealed class UnixListener : IDisposable
{
    private static readonly ListenSocketOptions Options = new()
    {
        Backlog = 16,
        UnixSocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        ReplaceStaleUnixSocket = true,
    };

    private readonly WaitTurn _turn;

    private UnixListener(ListenSocket socket)
    {
        Socket = socket;
        _turn = new WaitTurn(socket);
    }

    /// <summary>To be passed on.</summary>
    internal ListenSocket Socket { get; }

    /// <summary>Makes the file, for the process's user only, in the place of one that a killed process has left behind.</summary>
    /// <exception cref="SocketException">The kernel refuses, or somebody listens there.</exception>
    internal static UnixListener Bind(NetpollRuntime runtime, string path) =>
        new(ListenSocket.Listen(runtime, new UnixDomainSocketEndPoint(path), Options));

    /// <summary>Goes on with the one of another process, whose descriptor was passed and is owned from now on. So is the file.</summary>
    /// <exception cref="SocketException">It is none.</exception>
    internal static UnixListener Inherit(NetpollRuntime runtime, int fd)
    {
        ListenSocket socket = ListenSocket.Inherit(runtime, fd, Options, runtime.NextGroup(), isOwn: true);
        if (socket.LocalEndPoint is not UnixDomainSocketEndPoint)
        {
            socket.Close();
            throw SystemErrors.ToSocketException(Errno.EAFNOSUPPORT, $"the hand-over socket is at {socket.LocalEndPoint}");
        }

        socket.LeavesFile = false;
        return new UnixListener(socket);
    }

    /// <summary>The next who has connected. Goes on on the thread pool.</summary>
    /// <exception cref="SocketException">The system has no room for one.</exception>
    /// <exception cref="OperationCanceledException">It is waited for no longer.</exception>
    internal async Task<DescriptorChannel> AcceptAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenRegistration registration =
            cancellationToken.UnsafeRegister(static socket => ((ListenSocket)socket!).WakeAcceptor(), Socket);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            SyscallResult result = Socket.Take(out TakenSocket taken);
            if (result.IsSuccess)
            {
                return new DescriptorChannel(new Socket(new SafeSocketHandle(taken.Fd, ownsHandle: true)), Socket.SystemCalls);
            }

            if (result.WouldBlock)
            {
                await _turn.WaitAsync().ConfigureAwait(false);
            }
            else if (!ListenSocket.IsErrorOfTheConnection(result.Errno))
            {
                throw SystemErrors.ToSocketException(result.Errno, $"accept4 on {Socket.LocalEndPoint}");
            }
        }
    }

    /// <summary>Removes the file, if it is still the one that was made here, or that was there when it was inherited.</summary>
    internal void RemoveFile() => Socket.RemoveFile();

    /// <summary>Leaves the file.</summary>
    public void Dispose() => Socket.Close();

    // Parked while somebody waits. Why it woke up does not matter: ready, closed and cancelled all show in the next try.
    private sealed class WaitTurn(ListenSocket socket) : Turn
    {
        private TaskCompletionSource _woken = new();

        internal Task WaitAsync()
        {
            var woken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _woken = woken;
            return socket.BeginWaitReadable(this) == PollResult.Pending ? woken.Task : Task.CompletedTask;
        }

        internal override void Run()
        {
            socket.EndWaitReadable();
            _woken.SetResult();
        }

        internal override void OnUnhandledException(Exception exception) => _woken.TrySetException(exception);
    }
}
