using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>FIFOs: creating, opening, reading, writing. Where they end is in <see cref="FifoEofTests"/>.</summary>
public sealed class FifoTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string _path;

    public FifoTests()
    {
        _path = _directory.PathOf("fifo");
        NetpollFile.CreateFifo(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_fifo_is_created_with_its_permissions()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_path));
        Assert.Equal(FileAttributes.Normal, File.GetAttributes(_path));

        using var opened = NetpollFile.Open(_path, FileAccess.Read);
        Assert.NotEqual(-1, TestLibC.fcntl(opened.Descriptor.Fd, TestLibC.F_GETPIPE_SZ, 0));
    }

    [Fact]
    public async Task The_reading_end_opens_at_once_and_knows_what_it_is()
    {
        await using var reader = NetpollFile.Open(_path, FileAccess.Read);
        await using var writer = NetpollFile.Open(_path, FileAccess.Write);

        Assert.Equal(_path, reader.Name);
        Assert.True(reader.IsPollable);
        Assert.Equal((true, false), (reader.CanRead, reader.CanWrite));
        Assert.Equal((false, true), (writer.CanRead, writer.CanWrite));
        Assert.True(ProcessInfo.IsNonBlocking(reader.Descriptor.Fd));
        Assert.True(ProcessInfo.IsNonBlocking(writer.Descriptor.Fd));
        Assert.True(ProcessInfo.IsCloseOnExec(reader.Descriptor.Fd));
        Assert.True(ProcessInfo.IsCloseOnExec(writer.Descriptor.Fd));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task What_is_written_is_read()
    {
        await using var reader = NetpollFile.Open(_path, FileAccess.Read);
        await using var writer = NetpollFile.Open(_path, FileAccess.Write);
        byte[] sent = FileExtensions.Pattern(300_000);

        Task<byte[]> received = reader.ReadExactlyAsync(sent.Length);
        Assert.Equal(sent.Length, await writer.WriteAsync(sent));

        Assert.Equal(sent, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Opened_for_both_it_talks_to_itself_and_never_ends()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
        Task<byte[]> read = file.ReadSomeAsync();
        await file.WriteAsync("hello"u8.ToArray());
        Assert.Equal("hello", Encoding.UTF8.GetString(await read));

        // Another writer that comes and goes ends nothing: this file is a writer itself.
        read = file.ReadSomeAsync();
        await using (NetpollFile.Open(_path, FileAccess.Write))
        {
        }

        await Waits.AssertPendingAsync(read);
        await file.WriteAsync("again"u8.ToArray());
        Assert.Equal("again", Encoding.UTF8.GetString(await read));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Several_writers_reach_one_reader()
    {
        await using var reader = NetpollFile.Open(_path, FileAccess.Read);
        NetpollFile[] writers = [.. Enumerable.Range(0, 5).Select(_ => NetpollFile.Open(_path, FileAccess.Write))];
        Task<byte[]> all = reader.ReadToEndAsync();

        await Task.WhenAll(writers.Select(async (writer, i) =>
        {
            for (int j = 0; j < 100; j++)
            {
                await writer.WriteAsync(new[] { (byte)i });
            }

            await writer.DisposeAsync();
        }));

        byte[] received = await all;
        Assert.All(Enumerable.Range(0, 5), i => Assert.Equal(100, received.Count(value => value == i)));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_writer_survives_the_change_of_its_reader()
    {
        var first = NetpollFile.Open(_path, FileAccess.Read);
        await using var writer = NetpollFile.Open(_path, FileAccess.Write);
        await writer.WriteAsync("one"u8.ToArray());
        Assert.Equal("one", Encoding.UTF8.GetString(await first.ReadSomeAsync()));
        await first.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(() => writer.WriteAsync("lost"u8.ToArray()).AsTask());

        await using var second = NetpollFile.Open(_path, FileAccess.Read);
        await writer.WriteAsync("two"u8.ToArray());
        Assert.Equal("two", Encoding.UTF8.GetString(await second.ReadSomeAsync()));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Two_fifos_carry_a_conversation()
    {
        string answers = _directory.PathOf("answers");
        NetpollFile.CreateFifo(answers, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await using var serverIn = NetpollFile.Open(_path, FileAccess.Read);
        await using var clientIn = NetpollFile.Open(answers, FileAccess.Read);
        await using var serverOut = NetpollFile.Open(answers, FileAccess.Write);
        await using var clientOut = NetpollFile.Open(_path, FileAccess.Write);

        Task server = Task.Run(async () =>
        {
            byte[] question;
            while ((question = await serverIn.ReadSomeAsync()).Length != 0)
            {
                await serverOut.WriteAsync(question.Reverse().ToArray());
            }
        });
        for (byte i = 0; i < 200; i++)
        {
            await clientOut.WriteAsync(new byte[] { i, (byte)(i + 1) });
            Assert.Equal(new byte[] { (byte)(i + 1), i }, await clientIn.ReadExactlyAsync(2));
        }

        await clientOut.DisposeAsync();
        await server;
    }
}
