using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>What the socket tells about itself.</summary>
internal sealed partial class StreamSocket
{
    /// <summary>Does the peer's address say that this is a Unix socket?</summary>
    internal bool IsUnix => _remoteAddress.IsUnix;

    /// <summary>Does it say that this is a socket of TCP?</summary>
    internal bool IsTcp => _remoteAddress.IsIp;

    /// <summary>Whose address the peer's is; null if it is none of IP.</summary>
    internal NetworkKey? Network => _remoteAddress.TryGetNetwork(out NetworkKey network) ? network : null;

    /// <summary>Has the read deadline passed? Not after a close.</summary>
    internal bool ReadDeadlinePassed
    {
        get
        {
            // The slot may be a stranger's after the close.
            if (!Lifetime.TryAddReference())
            {
                return false;
            }

            bool passed = Poll is { } poll && poll.Info.Check(PollMode.Read) == PollResult.TimedOut;
            ReleaseReference();
            return passed;
        }
    }

    /// <summary>Bytes that were sent and that the peer has not acknowledged, or, of a Unix socket, not read. 0 after a close.</summary>
    internal int CountUnacknowledged()
    {
        if (!Lifetime.TryAddReference())
        {
            return 0;
        }

        SyscallResult result = SystemCalls.GetUnsent(Fd);
        ReleaseReference();
        return result.IsSuccess ? result.Value : 0;
    }

    /// <summary>
    /// Asks for <c>struct tcp_info</c>. The number of bytes of <paramref name="buffer"/> that the kernel has filled; 0 after a close, or if
    /// it refuses.
    /// </summary>
    internal int ReadTcpInfo(Span<byte> buffer)
    {
        if (!Lifetime.TryAddReference())
        {
            return 0;
        }

        SyscallResult result = SystemCalls.GetSockOptBytes(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, buffer, out int length);
        ReleaseReference();
        return result.IsSuccess ? Math.Min(length, buffer.Length) : 0;
    }

    /// <summary>Who has connected. False after a close, or if the kernel does not say.</summary>
    internal bool TryGetPeerCredentials(out ucred credentials)
    {
        credentials = default;
        if (!Lifetime.TryAddReference())
        {
            return false;
        }

        bool known = TryGetPeerCredentials(SystemCalls, Fd, out credentials);
        ReleaseReference();
        return known;
    }

    /// <summary>The same of a socket that is only a number as yet.</summary>
    internal static bool TryGetPeerCredentials(SystemCalls systemCalls, int fd, out ucred credentials)
    {
        credentials = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<ucred>(ref credentials));
        return systemCalls.GetSockOptBytes(fd, LibC.SOL_SOCKET, LibC.SO_PEERCRED, bytes, out int length).IsSuccess
            && length == Unsafe.SizeOf<ucred>();
    }
}
