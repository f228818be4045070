using System.Buffers.Binary;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// A connection over a Unix socket, on which small messages go back and forth, with descriptors. Waits on the thread pool, not on the
/// engine's workers, which handlers may hold. For one user at a time; who it talks to has yet to be checked (<see cref="Peer"/>).
/// </summary>
/// <remarks>A message: one byte that says what it is, two with the length of the rest (little-endian), the rest.</remarks>
internal sealed class DescriptorChannel : IDisposable
{
    /// <summary>Any message fits into the kernel's buffer, unless the other side reads nothing at all.</summary>
    internal const int MaxPayload = 1024;

    /// <summary>The kernel's own limit of one message is higher (SCM_MAX_FD, 253).</summary>
    internal const int MaxDescriptors = 128;

    private const int HeaderLength = 3;

    private readonly Socket _socket;
    private readonly SystemCalls _systemCalls;

    internal DescriptorChannel(Socket socket, SystemCalls systemCalls)
    {
        _socket = socket;
        _systemCalls = systemCalls;
        using var fd = new HeldDescriptor(socket);
        Peer = PeerCredentials.Of(fd.Value, systemCalls);
    }

    /// <summary>Who is at the other end; of a listener, who listened. Null: the kernel does not say.</summary>
    internal PeerCredentials? Peer { get; }

    /// <summary>Does the other end belong to the same user as this process, or to root?</summary>
    internal bool IsPeerTrusted =>
        Peer is { UserId: var user } && (user == 0 || user == (uint)_systemCalls.GetEffectiveUserId().LongValue);

    /// <summary>Null: nobody listens there, or there is nothing.</summary>
    /// <exception cref="SocketException">Any other reason why there is no connection.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    internal static async Task<DescriptorChannel?> TryConnectAsync(NetpollRuntime runtime, string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            return new DescriptorChannel(socket, runtime.SystemCalls);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            socket.Dispose();
            return null;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends a message. Does not wait: a peer that reads nothing is as good as none.</summary>
    /// <exception cref="SocketException">The connection is broken, or the peer does not read.</exception>
    /// <exception cref="ObjectDisposedException">This has been disposed of.</exception>
    internal void Send(byte kind, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, MaxPayload);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        Span<byte> message = stackalloc byte[HeaderLength + MaxPayload];
        message[0] = kind;
        BinaryPrimitives.WriteUInt16LittleEndian(message[1..], (ushort)payload.Length);
        payload.CopyTo(message[HeaderLength..]);
        message = message[..(HeaderLength + payload.Length)];
        using var fd = new HeldDescriptor(_socket);
        SyscallResult result = _systemCalls.SendDescriptors(fd.Value, message, descriptors);
        if (result.IsError || result.Value != message.Length)
        {
            // The kernel takes a part of what is as short as this only if nearly nothing has been read of what came before.
            throw SystemErrors.ToSocketException(result.IsError ? result.Errno : Errno.EAGAIN, "sendmsg on the hand-over socket");
        }
    }

    /// <summary>As <see cref="Send"/>, with sockets that nobody closes meanwhile.</summary>
    /// <exception cref="SocketException">The same.</exception>
    /// <exception cref="ObjectDisposedException">One of them has been closed.</exception>
    internal void SendSockets(byte kind, ReadOnlySpan<byte> payload, IReadOnlyList<ListenSocket> sockets)
    {
        int held = 0;
        try
        {
            Span<int> fds = stackalloc int[sockets.Count];
            foreach (ListenSocket socket in sockets)
            {
                ObjectDisposedException.ThrowIf(!socket.Lifetime.TryAddReference(), socket);
                fds[held++] = socket.Fd;
            }

            Send(kind, payload, fds);
        }
        finally
        {
            foreach (ListenSocket socket in sockets.Take(held))
            {
                socket.ReleaseReference();
            }
        }
    }

    /// <summary>
    /// The next message. Null: the peer has closed, or has died. What has come before it is cancelled is returned all the same.
    /// </summary>
    /// <exception cref="SocketException">The connection is broken.</exception>
    /// <exception cref="InvalidDataException">It is no message, or not all of its descriptors could be received.</exception>
    /// <exception cref="OperationCanceledException">It did not come in time.</exception>
    internal async Task<DescriptorMessage?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var descriptors = new ReceivedDescriptors(_systemCalls);
        try
        {
            byte[] header = new byte[HeaderLength];
            int received = await ReceiveAsync(header, descriptors, cancellationToken).ConfigureAwait(false);
            if (received == 0)
            {
                descriptors.Dispose();
                return null;
            }

            int length = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(1));
            if (received == HeaderLength && length > MaxPayload)
            {
                throw new InvalidDataException($"A message on the hand-over socket has {length} bytes, and may have {MaxPayload}.");
            }

            byte[] payload = new byte[length];
            return received == HeaderLength
                && await ReceiveAsync(payload, descriptors, cancellationToken).ConfigureAwait(false) == length
                    ? new DescriptorMessage(header[0], payload, descriptors)
                    : throw new InvalidDataException("The hand-over socket has been closed in the middle of a message.");
        }
        catch
        {
            descriptors.Dispose();
            throw;
        }
    }

    public void Dispose() => _socket.Dispose();

    // Less than was asked for: the peer has closed.
    private async Task<int> ReceiveAsync(byte[] buffer, ReceivedDescriptors descriptors, CancellationToken cancellationToken)
    {
        int received = 0;
        bool isLate = false;
        while (received < buffer.Length)
        {
            SyscallResult result = ReceiveSome(buffer.AsSpan(received), descriptors);
            if (result.WouldBlock)
            {
                if (isLate)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                }

                try
                {
                    await _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellationToken).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    // If it was this process that stood still, what it waits for is there.
                    isLate = true;
                }

                continue;
            }

            if (result.IsError)
            {
                throw SystemErrors.ToSocketException(result.Errno, "recvmsg on the hand-over socket");
            }

            if (result.Value == 0)
            {
                break;
            }

            received += result.Value;
        }

        return received;
    }

    private SyscallResult ReceiveSome(Span<byte> buffer, ReceivedDescriptors descriptors)
    {
        Span<int> fds = stackalloc int[MaxDescriptors];
        using var fd = new HeldDescriptor(_socket);
        SyscallResult result = _systemCalls.ReceiveDescriptors(fd.Value, buffer, fds, out int count, out bool isTruncated);
        descriptors.Add(fds[..count]);
        return isTruncated || descriptors.Count > MaxDescriptors
            ? throw new InvalidDataException("More descriptors have come than the process may have, or than a message may have.")
            : result;
    }

    // While it is held, the number is not another file's, whoever disposes of the socket.
    private readonly ref struct HeldDescriptor : IDisposable
    {
        private readonly SafeSocketHandle _handle;

        internal HeldDescriptor(Socket socket)
        {
            bool isHeld = false;
            _handle = socket.SafeHandle;
            _handle.DangerousAddRef(ref isHeld);
        }

        internal int Value => (int)_handle.DangerousGetHandle();

        public void Dispose() => _handle.DangerousRelease();
    }
}
