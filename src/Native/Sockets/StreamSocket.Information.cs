using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>What the socket tells about itself. Any thread.</summary>
internal sealed partial class StreamSocket
{
    /// <summary>Does the peer's address say that this is a Unix socket?</summary>
    internal bool IsUnix => _remoteAddress.IsUnix;

    /// <summary>Does it say that this is a socket of TCP?</summary>
    internal bool IsTcp => _remoteAddress.IsIp;

    /// <summary>Whose address the peer's is; null if it is none of IP.</summary>
    internal NetworkKey? Network => _remoteAddress.Network;

    /// <summary>Has the read deadline passed? Not after a close.</summary>
    internal bool ReadDeadlinePassed
    {
        get
        {
            // The slot may be a stranger's after the close.
            if (!TryEnter())
            {
                return false;
            }

            bool passed = Poll is { } poll && poll.Info.Check(PollMode.Read) == PollResult.TimedOut;
            ReleaseReference();
            return passed;
        }
    }

    /// <summary>The read deadline, as it was set; see <see cref="PollDescriptor.GetDeadline"/>. None after a close.</summary>
    internal long ReadDeadline
    {
        get
        {
            if (!TryEnter())
            {
                return PollDeadline.None;
            }

            long deadline = Poll?.GetDeadline(PollMode.Read) ?? PollDeadline.None;
            ReleaseReference();
            return deadline;
        }
    }

    /// <summary>Bytes that were sent and that the peer has not acknowledged, or, of a Unix socket, not read. 0 after a close.</summary>
    internal int CountUnacknowledged() =>
        (TryEnter() ? Leave(SystemCalls.GetUnsent(Fd)) : Closed) is { IsSuccess: true } unsent ? unsent.Value : 0;

    /// <summary>
    /// Is there something to receive: bytes, the end, or an error? Leaves it there, an error as well, which even a peek would take away.
    /// </summary>
    internal bool HasInput() =>
        (TryEnter() ? Leave(SystemCalls.Poll(Fd, LibC.POLLIN, out _)) : Closed) is not { IsSuccess: true, Value: 0 };

    /// <summary>Asks the kernel what it has measured. Null after a close, or if it refuses.</summary>
    internal TcpMeasurements? GetMeasurements()
    {
        Span<byte> info = stackalloc byte[TcpMeasurements.Length];
        int length = 0;
        SyscallResult result =
            TryEnter() ? Leave(SystemCalls.GetSockOptBytes(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, info, out length)) : Closed;
        return result.IsSuccess ? TcpMeasurements.From(info[..length]) : null;
    }

    /// <summary>Asks the kernel who has connected. Null after a close, or if it does not say.</summary>
    internal PeerCredentials? GetPeerCredentials()
    {
        if (!TryEnter())
        {
            return null;
        }

        PeerCredentials? credentials = PeerCredentials.Of(Fd, SystemCalls);
        ReleaseReference();
        return credentials;
    }
}
