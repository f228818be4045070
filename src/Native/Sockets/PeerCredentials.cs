using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>Who is at the other end of a Unix socket, as it was when the connection was made.</summary>
internal readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId)
{
    /// <summary>Null: the kernel does not say.</summary>
    internal static PeerCredentials? Of(int fd, SystemCalls systemCalls) =>
        systemCalls.GetPeerCredentials(fd, out int processId, out uint userId, out uint groupId).IsSuccess
            ? new PeerCredentials(processId, userId, groupId)
            : null;
}
