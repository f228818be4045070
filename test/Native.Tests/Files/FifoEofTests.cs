using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// Where a FIFO ends: when its last writer has gone, and not before its first has come, although read(2) gives 0 in both cases.
/// </summary>
public sealed class FifoEofTests : IDisposable
{
    private const int Rounds = 200;

    private readonly TemporaryDirectory _directory = new();
    private readonly string _path;

    public FifoEofTests()
    {
        _path = _directory.PathOf("fifo");
        NetpollFile.CreateFifo(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = Waits.Limit)]
    public async Task The_end_follows_the_last_of_several_delayed_lines()
    {
        await using NetpollFile reader = OpenReader();
        await using NetpollFile writer = OpenWriter();
        for (int i = 0; i < 3; i++)
        {
            Task<byte[]> read = reader.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await writer.WriteAsync(Encoding.UTF8.GetBytes($"line {i}\n"));
            Assert.Equal($"line {i}\n", Encoding.UTF8.GetString(await read));
        }

        Task<byte[]> last = reader.ReadSomeAsync();
        await Waits.AssertPendingAsync(last);
        await writer.DisposeAsync();
        Assert.Empty(await last);
        Assert.Empty(await reader.ReadSomeAsync());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Before_the_first_writer_it_waits(bool scatter)
    {
        await using NetpollFile reader = OpenReader();
        byte[] buffer = new byte[16];
        Task<long> read = scatter
            ? reader.ReadAsync([buffer.AsMemory(0, 8), buffer.AsMemory(8)]).AsTask()
            : Widen(reader.ReadAsync(buffer));
        await Waits.AssertPendingAsync(read);

        await using NetpollFile writer = OpenWriter();
        await Waits.AssertPendingAsync(read);

        await writer.WriteAsync("here I am"u8.ToArray());
        Assert.Equal(9, await read);
        await writer.DisposeAsync();
        Assert.Equal(0, scatter ? await reader.ReadAsync([buffer.AsMemory()]) : await reader.ReadAsync(buffer));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_writer_that_said_nothing_ends_it_too()
    {
        await using NetpollFile reader = OpenReader();
        Task<byte[]> read = reader.ReadSomeAsync();
        await OpenWriter().DisposeAsync();

        Assert.Empty(await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_writer_that_came_and_went_unseen_left_its_data_and_the_end()
    {
        await using NetpollFile reader = OpenReader();
        await using (NetpollFile writer = OpenWriter())
        {
            await writer.WriteAsync("gone already"u8.ToArray());
        }

        Assert.Equal("gone already", Encoding.UTF8.GetString(await reader.ReadSomeAsync()));
        Assert.Empty(await reader.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_writer_in_a_hurry_never_loses_the_end()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using NetpollFile reader = OpenReader();
            Task<byte[]> all = Task.Run(() => reader.ReadToEndAsync());
            if ((round & 1) == 0)
            {
                await Task.Yield();
            }

            await using (NetpollFile writer = OpenWriter())
            {
                await writer.WriteAsync(BitConverter.GetBytes(round));
            }

            Assert.Equal(BitConverter.GetBytes(round), await all);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task After_the_end_a_new_writer_is_heard()
    {
        await using NetpollFile reader = OpenReader();
        for (int i = 0; i < 3; i++)
        {
            await using NetpollFile writer = OpenWriter();
            Task<byte[]> read = reader.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);

            await writer.WriteAsync(new[] { (byte)i });
            Assert.Equal(new[] { (byte)i }, await read);

            read = reader.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await writer.DisposeAsync();
            Assert.Empty(await read);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task One_writer_leaving_is_not_the_end_while_another_stays()
    {
        await using NetpollFile reader = OpenReader();
        NetpollFile first = OpenWriter();
        await using NetpollFile second = OpenWriter();
        Task<byte[]> read = reader.ReadSomeAsync();

        await first.DisposeAsync();
        await Waits.AssertPendingAsync(read);
        await second.DisposeAsync();
        Assert.Empty(await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_new_reader_waits_for_a_writer_of_its_own()
    {
        NetpollFile earlier = OpenReader();
        await OpenWriter().DisposeAsync();
        Assert.Empty(await earlier.ReadSomeAsync());
        await earlier.DisposeAsync();

        await using NetpollFile reader = OpenReader();
        Task<byte[]> read = reader.ReadSomeAsync();
        await Waits.AssertPendingAsync(read);
        await OpenWriter().DisposeAsync();
        Assert.Empty(await read);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_descriptor_that_was_hung_up_before_it_was_wrapped_is_at_its_end()
    {
        int fd = SystemCalls.Instance.Open(_path, LibC.O_RDONLY | LibC.O_NONBLOCK, mode: 0).Value;
        await using (NetpollFile writer = OpenWriter())
        {
            await writer.WriteAsync("early"u8.ToArray());
        }

        await using var reader = NetpollFile.FromHandle(FileLibC.ToHandle(fd));
        Assert.Equal("early", Encoding.UTF8.GetString(await reader.ReadToEndAsync()));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_limits_the_wait_for_the_first_writer()
    {
        await using NetpollFile reader = OpenReader();
        reader.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => reader.ReadSomeAsync());

        reader.SetReadDeadline(null);
        await using NetpollFile writer = OpenWriter();
        await writer.WriteAsync("x"u8.ToArray());
        Assert.Equal("x"u8.ToArray(), await reader.ReadSomeAsync());
    }

    private static async Task<long> Widen(ValueTask<int> read) => await read;

    private NetpollFile OpenReader() => NetpollFile.Open(_path, FileAccess.Read);

    private NetpollFile OpenWriter() => NetpollFile.Open(_path, FileAccess.Write);
}
