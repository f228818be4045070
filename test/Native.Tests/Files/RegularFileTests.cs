using System.Text;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Regular files: the kernel cannot poll them, they work all the same, on the thread pool.</summary>
public sealed class RegularFileTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string _path;

    public RegularFileTests()
    {
        _path = _directory.PathOf("regular");
        File.WriteAllText(_path, "0123456789");
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task It_is_not_pollable_and_stays_a_blocking_file()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
        Assert.False(file.IsPollable);
        Assert.Equal((true, true), (file.CanRead, file.CanWrite));
        Assert.False(ProcessInfo.IsNonBlocking(file.Descriptor.Fd));
        Assert.True(ProcessInfo.IsCloseOnExec(file.Descriptor.Fd));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_is_read_to_its_end()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.Read);
        Assert.Equal("01234", Encoding.UTF8.GetString(await file.ReadSomeAsync(5)));
        Assert.Equal("56789", Encoding.UTF8.GetString(await file.ReadSomeAsync()));
        Assert.Empty(await file.ReadSomeAsync());
        Assert.Empty(await file.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task What_is_written_is_there()
    {
        byte[] data = FileExtensions.Pattern(3_000_000);
        await using (var file = NetpollFile.Open(_path, FileAccess.Write))
        {
            Assert.Equal(data.Length, await file.WriteAsync(data));
            Assert.Equal(4, await file.WriteAsync(["ab"u8.ToArray(), "cd"u8.ToArray()]));
        }

        FileExtensions.AssertSame([.. data, .. "abcd"u8], await File.ReadAllBytesAsync(_path));
        await using var again = NetpollFile.Open(_path, FileAccess.Read);
        FileExtensions.AssertSame([.. data, .. "abcd"u8], await again.ReadToEndAsync(1_000_000));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Reads_and_writes_share_one_position()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
        Assert.Equal("01", Encoding.UTF8.GetString(await file.ReadSomeAsync(2)));
        await file.WriteAsync("ab"u8.ToArray());
        Assert.Equal("45", Encoding.UTF8.GetString(await file.ReadSomeAsync(2)));
        Assert.Equal("01ab456789", await File.ReadAllTextAsync(_path));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Scatter_reads_work()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.Read);
        byte[] first = new byte[3];
        byte[] second = new byte[30];
        Assert.Equal(10, await file.ReadAsync([first.AsMemory(), Memory<byte>.Empty, second.AsMemory()]));
        Assert.Equal("0123456789", Encoding.UTF8.GetString([.. first, .. second[..7]]));
        Assert.Equal(0, await file.ReadAsync([first.AsMemory()]));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_refuses_deadlines_by_name()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
        foreach (Action<DateTimeOffset?> set in new[] { file.SetDeadline, file.SetReadDeadline, file.SetWriteDeadline })
        {
            NotSupportedException exception = Assert.Throws<NotSupportedException>(() => set(Moments.Later));
            Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        }

        Assert.Single(await file.ReadSomeAsync(1));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_cancelled_token_starts_nothing()
    {
        await using var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
        CancellationToken cancelled = new(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await file.ReadAsync(new byte[1], cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await file.WriteAsync(new byte[1], cancelled));
        Assert.Equal("0", Encoding.UTF8.GetString(await file.ReadSomeAsync(1)));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Closing_it_in_the_middle_of_reads_and_writes_is_harmless()
    {
        for (int round = 0; round < 100; round++)
        {
            var file = NetpollFile.Open(_path, FileAccess.ReadWrite);
            string? link = ProcessInfo.LinkOf(file.Descriptor.Fd);
            Assert.Equal(_path, link);
            Task[] operations = [.. Enumerable.Range(0, 6).Select(i => Task.Run(async () =>
                (i & 1) == 0 ? await file.ReadAsync(new byte[1]) : await file.WriteAsync(new byte[1])))];
            await file.DisposeAsync();
            foreach (Task operation in operations)
            {
                Exception? exception = await Record.ExceptionAsync(() => operation);
                Assert.True(exception is null or ObjectDisposedException, exception?.ToString());
            }
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Many_callers_get_every_byte_once()
    {
        byte[] data = FileExtensions.Pattern(100_000);
        await File.WriteAllBytesAsync(_path, data);
        await using var file = NetpollFile.Open(_path, FileAccess.Read);
        byte[][] parts = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => file.ReadToEndAsync(777))));

        Assert.Equal(data.Length, parts.Sum(part => part.Length));
        Assert.Equal(data.Sum(value => (long)value), parts.Sum(part => part.Sum(value => (long)value)));
    }
}
