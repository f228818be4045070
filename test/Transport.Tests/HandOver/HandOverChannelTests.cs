using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.HandOver;

/// <summary>What two processes of a hand-over talk over.</summary>
[OneMode]
public sealed class HandOverChannelTests : IDisposable
{
    private readonly HandOverPlace _place = new();

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task A_message_that_has_come_by_the_deadline_is_in_time_also_if_it_was_not_looked_at()
    {
        (DescriptorChannel channel, RawPeer peer) = await ConnectAsync(new LateKernel());
        using (channel)
        using (peer)
        {
            peer.Send('M');
            using DescriptorMessage? message = await channel.ReceiveAsync(new CancellationToken(canceled: true)).InTime();
            Assert.Equal((byte)'M', message?.Kind);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => channel.ReceiveAsync(new CancellationToken(canceled: true)).InTime());
        }
    }

    [Fact]
    public async Task One_that_is_disposed_of_does_not_use_the_number_of_its_descriptor()
    {
        (DescriptorChannel channel, RawPeer peer) = await ConnectAsync(SystemCalls.Instance);
        using (peer)
        {
            channel.Dispose();

            Assert.Throws<ObjectDisposedException>(() => channel.Send((byte)'M', []));
            await Assert.ThrowsAsync<ObjectDisposedException>(() => channel.ReceiveAsync(CancellationToken.None).InTime());
            Assert.Null(await peer.ReceiveAsync());
        }
    }

    private async Task<(DescriptorChannel Channel, RawPeer Peer)> ConnectAsync(SystemCalls systemCalls)
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_place.Path));
        listener.Listen();
        RawPeer peer = await RawPeer.ConnectAsync(_place.Path);
        return (new DescriptorChannel(await listener.AcceptAsync().InTime(), systemCalls), peer);
    }

    /// <summary>Has nothing at the first look.</summary>
    private sealed class LateKernel : SystemCalls
    {
        private bool _hasLooked;

        protected internal override SyscallResult ReceiveDescriptorsOnce(
            int fd, Span<byte> bytes, Span<int> descriptors, int flags, out int count, out bool isTruncated)
        {
            if (_hasLooked)
            {
                return base.ReceiveDescriptorsOnce(fd, bytes, descriptors, flags, out count, out isTruncated);
            }

            _hasLooked = true;
            (count, isTruncated) = (0, false);
            return SyscallResult.Failure(Errno.EAGAIN);
        }
    }
}
