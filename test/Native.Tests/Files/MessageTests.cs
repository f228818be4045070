using System.IO.Pipelines;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Where each call moves a message, a read and a write are one, however many buffers they have.</summary>
public sealed class MessageTests
{
    private const int Datagram = 2;
    private const int SeqPacket = 5;

    public static TheoryData<int> Counts => [1, 64, 65, 100, 1023, 1024, 1025, 3000];

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Counts))]
    public async Task A_message_of_many_parts_is_sent_as_one(int parts)
    {
        (NetpollFile one, NetpollFile other) = NewPair(SeqPacket);
        await using (one)
        await using (other)
        {
            byte[] sent = FileExtensions.Pattern(parts * 2);
            Assert.Equal(sent.Length, await one.WriteAsync(Split(sent)));
            FileExtensions.AssertSame(sent, await other.ReadSomeAsync(sent.Length + 1));
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [MemberData(nameof(Counts))]
    public async Task A_message_is_read_into_many_parts_and_nothing_of_it_is_lost(int parts)
    {
        (NetpollFile one, NetpollFile other) = NewPair(SeqPacket);
        await using (one)
        await using (other)
        {
            byte[] sent = FileExtensions.Pattern(parts * 2);
            byte[][] received = [.. Enumerable.Range(0, parts).Select(_ => new byte[2])];
            List<Memory<byte>> buffers = [.. received.Select(part => part.AsMemory())];
            Task<long> read = other.ReadAsync(buffers).AsTask();
            await one.WriteAsync(sent);
            Assert.Equal(sent.Length, await read);
            FileExtensions.AssertSame(sent, [.. received.SelectMany(part => part)]);

            // A shorter one fills what it can.
            await one.WriteAsync(new byte[] { 1 });
            Assert.Equal(1, await other.ReadAsync(buffers));
            Assert.Equal(new byte[] { 1, sent[1] }, received[0]);
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(SeqPacket)]
    [InlineData(Datagram)]
    public async Task An_empty_message_is_sent_in_every_form(int type)
    {
        (NetpollFile one, NetpollFile other) = NewPair(type);
        await using (one)
        await using (other)
        {
            other.SetReadDeadline(DateTimeOffset.UtcNow + Patience.Limit);
            Assert.Equal(0, await one.WriteAsync(ReadOnlyMemory<byte>.Empty));
            Assert.Equal(0, await one.WriteAsync([]));
            Assert.Equal(0, await one.WriteAsync([ReadOnlyMemory<byte>.Empty, ReadOnlyMemory<byte>.Empty]));
            one.AsStream().Write([]);
            await one.WriteAsync(new byte[1]);
            for (int i = 0; i < 4; i++)
            {
                Assert.Empty(await other.ReadSomeAsync());
            }

            Assert.Single(await other.ReadSomeAsync());
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task An_empty_message_waits_for_room_like_any_other()
    {
        (NetpollFile one, NetpollFile other) = NewPair(SeqPacket);
        await using (one)
        await using (other)
        {
            int before = 0;
            one.SetWriteDeadline(Moments.Later);
            while (SystemCalls.Instance.Write(one.Descriptor.Fd, new byte[1000]).IsSuccess)
            {
                before++;
            }

            Task<int> write = one.WriteAsync(ReadOnlyMemory<byte>.Empty).AsTask();
            await Waits.AssertPendingAsync(write);
            for (int i = 0; i < before; i++)
            {
                Assert.Equal(1000, (await other.ReadSomeAsync()).Length);
            }

            Assert.Equal(0, await write);
            Assert.Empty(await other.ReadSomeAsync());
        }
    }

    [Fact]
    public async Task Pipes_that_would_join_or_cut_messages_are_refused()
    {
        (NetpollFile one, NetpollFile other) = NewPair(SeqPacket);
        await using (one)
        await using (other)
        {
            Assert.Throws<NotSupportedException>(() => one.AsPipeReader());
            Assert.Throws<NotSupportedException>(() => one.AsPipeWriter());
        }

        (one, other) = NewPair(LibC.SOCK_STREAM);
        await using (one)
        await using (other)
        {
            PipeReader reader = one.AsPipeReader();
            PipeWriter writer = one.AsPipeWriter();
            Assert.NotNull(reader);
            Assert.NotNull(writer);
        }

        if (Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"))
        {
            await using var tun = NetpollFile.Open("/dev/net/tun", FileAccess.ReadWrite);
            Assert.Throws<NotSupportedException>(() => tun.AsPipeReader());
            Assert.Throws<NotSupportedException>(() => tun.AsPipeWriter());
        }
    }

    private static List<ReadOnlyMemory<byte>> Split(byte[] bytes) =>
        [.. Enumerable.Range(0, bytes.Length / 2).Select(i => (ReadOnlyMemory<byte>)bytes.AsMemory(i * 2, 2))];

    private static (NetpollFile One, NetpollFile Other) NewPair(int type)
    {
        Assert.True(SystemCalls.Instance.SocketPair(LibC.AF_UNIX, type, 0, out int first, out int second).IsSuccess);
        return (NetpollFile.FromHandle(FileLibC.ToHandle(first)), NetpollFile.FromHandle(FileLibC.ToHandle(second)));
    }
}
