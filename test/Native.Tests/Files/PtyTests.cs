using System.Text;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Pseudo-terminals: the two sides of a terminal, both ends ours.</summary>
public sealed class PtyTests
{
    private const string Multiplexer = "/dev/ptmx";

    [Fact(Timeout = Waits.Limit)]
    public async Task What_is_typed_is_echoed_and_read_line_by_line()
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        await using (terminal)
        {
            Assert.True(master.IsPollable);
            Assert.True(terminal.IsPollable);

            Task<byte[]> line = terminal.ReadSomeAsync();
            await master.WriteAsync("hel"u8.ToArray());
            Assert.Equal("hel", await ReadTextAsync(master, 3));
            await Waits.AssertPendingAsync(line);

            await master.WriteAsync("lo\n"u8.ToArray());
            Assert.Equal("lo\r\n", await ReadTextAsync(master, 4));
            Assert.Equal("hello\n", Encoding.UTF8.GetString(await line));

            await terminal.WriteAsync("bye\n"u8.ToArray());
            Assert.Equal("bye\r\n", await ReadTextAsync(master, 5));
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Closing_either_side_ends_its_blocked_read(bool closeMaster)
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        await using (terminal)
        {
            NetpollFile side = closeMaster ? master : terminal;
            Task<byte[]> read = side.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await side.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task When_the_master_goes_the_terminal_is_at_its_end()
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (terminal)
        {
            Task<byte[]> read = terminal.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await master.DisposeAsync();
            Assert.Empty(await read);
            Assert.Empty(await terminal.ReadSomeAsync());
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task When_the_terminal_goes_the_master_hears_of_it()
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        {
            Task<byte[]> read = master.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await terminal.DisposeAsync();

            // This is how Linux says it: not an end of file, because the terminal can be opened again.
            IOException exception = await Assert.ThrowsAsync<IOException>(() => read);
            Assert.Contains("EIO", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_deadline_ends_a_blocked_read()
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        await using (terminal)
        {
            terminal.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
            await Assert.ThrowsAsync<DeadlineExceededException>(() => terminal.ReadSomeAsync());
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_terminal_that_is_set_to_give_nothing_is_not_at_its_end(int form)
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        await using (terminal)
        {
            FileLibC.SetNeverWaits(terminal.SafeHandle);
            Task<byte[]> read = ReadAsync();
            await Waits.AssertPendingAsync(read);
            await master.WriteAsync("x"u8.ToArray());
            Assert.Equal("x", Encoding.UTF8.GetString(await read));
            read = ReadAsync();
            await Waits.AssertPendingAsync(read);

            // Until there is really nobody any more.
            await master.DisposeAsync();
            Assert.Empty(await read);
            Assert.Empty(await terminal.ReadSomeAsync());
        }

        async Task<byte[]> ReadAsync()
        {
            byte[] buffer = new byte[8];
            int count = form switch
            {
                0 => await terminal.ReadAsync(buffer),
                1 => (int)await terminal.ReadAsync([buffer.AsMemory()]),
                _ => await Task.Factory.StartNew(() => terminal.AsStream().Read(buffer, 0, 8), TaskCreationOptions.LongRunning),
            };
            return buffer[..count];
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task An_end_that_is_typed_is_one()
    {
        (NetpollFile master, NetpollFile terminal) = OpenPair();
        await using (master)
        await using (terminal)
        {
            Task<byte[]> read = terminal.ReadSomeAsync();
            await Waits.AssertPendingAsync(read);
            await master.WriteAsync(new byte[] { 4 });
            Assert.Empty(await read);
        }
    }

    private static (NetpollFile Master, NetpollFile Terminal) OpenPair()
    {
        Assert.SkipUnless(File.Exists(Multiplexer) && Directory.Exists("/dev/pts"), "There are no pseudo-terminals here.");
        var master = NetpollFile.Open(Multiplexer, FileAccess.ReadWrite);
        string path = FileLibC.UnlockTerminal(master.Descriptor.Fd);
        return (master, NetpollFile.Open(path, FileAccess.ReadWrite));
    }

    private static async Task<string> ReadTextAsync(NetpollFile file, int count) =>
        Encoding.UTF8.GetString(await file.ReadExactlyAsync(count));
}
