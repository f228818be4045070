using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Sockets;

public sealed class DescriptorChannelTests : IDisposable
{
    private static readonly SystemCalls Kernel = SystemCalls.Instance;

    private readonly OwnedDescriptors _owned = new();
    private readonly Socket _peer;
    private readonly DescriptorChannel _channel;

    public DescriptorChannelTests()
    {
        Assert.True(Kernel.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK, 0, out int first, out int second).IsSuccess);
        _channel = new DescriptorChannel(new Socket(new SafeSocketHandle(first, ownsHandle: true)), Kernel);
        _peer = new Socket(new SafeSocketHandle(second, ownsHandle: true));
    }

    public void Dispose()
    {
        _channel.Dispose();
        _peer.Dispose();
        _owned.Dispose();
    }

    [Fact]
    public async Task Messages_come_one_by_one_with_their_descriptors()
    {
        using DescriptorChannel other = new(new Socket(new SafeSocketHandle(_owned.Own(Kernel.Duplicate((int)_peer.Handle)), ownsHandle: false)), Kernel);
        int[] pipes = [.. Enumerable.Range(0, DescriptorChannel.MaxDescriptors).Select(_ => NewPipe().Write)];

        _channel.Send(1, "one"u8);
        _channel.Send(2, [], pipes);
        _channel.Send(3, new byte[DescriptorChannel.MaxPayload], pipes.AsSpan(0, 1));
        for (int kind = 1; kind <= 3; kind++)
        {
            using DescriptorMessage? message = await other.ReceiveAsync(TestContext.Current.CancellationToken).InTime();
            Assert.Equal(kind, message!.Kind);
            Assert.Equal(kind switch { 1 => 3, 2 => 0, _ => DescriptorChannel.MaxPayload }, message.Payload.Length);
            Assert.Equal(kind switch { 1 => 0, 2 => pipes.Length, _ => 1 }, message.Descriptors.Count);
        }

        _channel.Dispose();
        Assert.Null(await other.ReceiveAsync(TestContext.Current.CancellationToken).InTime());
    }

    [Fact]
    public async Task What_is_received_is_the_same_file_is_closed_on_exec_and_is_closed_if_nobody_takes_it()
    {
        (int read, int write) = NewPipe();
        Send([4, 0, 0], write, write);
        Assert.True(_owned.Close(write).IsSuccess);
        DescriptorMessage message = (await _channel.ReceiveAsync(TestContext.Current.CancellationToken).InTime())!;

        int taken = _owned.Own(SyscallResult.Success(message.Descriptors.Take()));
        Assert.Equal(1, Kernel.Write(taken, "x"u8).Value);
        Assert.Contains("flags:\t02", await File.ReadAllTextAsync($"/proc/self/fdinfo/{taken}", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        message.Dispose();
        _owned.Close(taken);

        byte[] buffer = new byte[2];
        Assert.Equal(1, Kernel.Read(read, buffer).Value);
        Assert.Equal(0, Kernel.Read(read, buffer).Value);
    }

    [Fact]
    public async Task A_message_in_pieces_is_put_together_and_one_that_breaks_off_is_an_error()
    {
        (int read, int write) = NewPipe();
        Task<DescriptorMessage?> receiving = _channel.ReceiveAsync(TestContext.Current.CancellationToken);
        Send([5], write);
        Send([2]);
        Send([0, 7]);
        Assert.False(receiving.IsCompleted);
        Send([8]);
        using (DescriptorMessage message = (await receiving.InTime())!)
        {
            Assert.Equal((5, 7, 8, 1), (message.Kind, message.Payload[0], message.Payload[1], message.Descriptors.Count));
        }

        receiving = _channel.ReceiveAsync(TestContext.Current.CancellationToken);
        Send([5, 9, 0, 1], write);
        Assert.True(_owned.Close(write).IsSuccess);
        _peer.Dispose();
        await Assert.ThrowsAsync<InvalidDataException>(() => receiving.InTime());
        Assert.Equal(0, Kernel.Read(read, new byte[1]).Value);
    }

    [Fact]
    public async Task More_descriptors_than_a_message_may_have_are_an_error_and_are_closed()
    {
        (int read, int write) = NewPipe();
        Send([6, 0, 0], [.. Enumerable.Repeat(write, DescriptorChannel.MaxDescriptors + 1)]);
        Assert.True(_owned.Close(write).IsSuccess);

        await Assert.ThrowsAsync<InvalidDataException>(() => _channel.ReceiveAsync(TestContext.Current.CancellationToken).InTime());

        Assert.Equal(0, Kernel.Read(read, new byte[1]).Value);
    }

    [Fact]
    public async Task Waiting_ends_with_its_token()
    {
        using var stop = new CancellationTokenSource();
        Task<DescriptorMessage?> receiving = _channel.ReceiveAsync(stop.Token);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receiving.InTime());
    }

    [Fact]
    public void A_peer_that_reads_nothing_is_not_waited_for()
    {
        Assert.Throws<SocketException>(SendForEver);

        void SendForEver()
        {
            while (true)
            {
                _channel.Send(7, new byte[DescriptorChannel.MaxPayload]);
            }
        }
    }

    [Fact]
    public void The_peer_is_known_and_trusted_if_it_is_the_same_user_or_root()
    {
        Assert.Equal(Environment.ProcessId, _channel.Peer!.Value.ProcessId);
        Assert.True(_channel.IsPeerTrusted);

        foreach ((uint own, uint peer, bool trusted) in ((uint, uint, bool)[])[(7, 7, true), (7, 0, true), (7, 8, false), (0, 8, false)])
        {
            using DescriptorChannel channel = new(
                new Socket(new SafeSocketHandle(_owned.Own(Kernel.Duplicate((int)_peer.Handle)), ownsHandle: false)), new UserKernel(own, peer));
            Assert.Equal(trusted, channel.IsPeerTrusted);
        }
    }

    private (int Read, int Write) NewPipe()
    {
        Assert.True(Kernel.Pipe2(out int read, out int write, LibC.O_NONBLOCK).IsSuccess);
        return (_owned.Own(SyscallResult.Success(read)), _owned.Own(SyscallResult.Success(write)));
    }

    private void Send(byte[] bytes, params int[] descriptors) =>
        Assert.Equal(bytes.Length, Kernel.SendDescriptors((int)_peer.Handle, bytes, descriptors).Value);

    private sealed class UserKernel(uint own, uint peer) : SystemCalls
    {
        protected internal override SyscallResult GetEffectiveUserIdOnce() => SyscallResult.Success(own);

        protected internal override SyscallResult GetPeerCredentialsOnce(int fd, out int processId, out uint userId, out uint groupId)
        {
            SyscallResult result = base.GetPeerCredentialsOnce(fd, out processId, out _, out groupId);
            userId = peer;
            return result;
        }
    }
}
