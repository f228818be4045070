using System.Text;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>A file as a stream.</summary>
public sealed class StreamTests
{
    [Fact]
    public async Task It_can_do_what_the_file_can()
    {
        await using PipePair pipe = new();
        Stream reader = pipe.Read.AsStream();
        Stream writer = pipe.Write.AsStream();
        Assert.Equal((true, false, false), (reader.CanRead, reader.CanWrite, reader.CanSeek));
        Assert.Equal((false, true, false), (writer.CanRead, writer.CanWrite, writer.CanSeek));
        Assert.Throws<NotSupportedException>(() => reader.Length);
        Assert.Throws<NotSupportedException>(() => reader.Position);
        Assert.Throws<NotSupportedException>(() => reader.Position = 1);
        Assert.Throws<NotSupportedException>(() => reader.Seek(0, SeekOrigin.Begin));
        Assert.Throws<NotSupportedException>(() => writer.SetLength(1));
        Assert.Throws<NotSupportedException>(() => reader.WriteByte(1));
        Assert.Throws<NotSupportedException>(() => writer.ReadByte());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Every_asynchronous_form_works()
    {
        await using PipePair pipe = new();
        Stream reader = pipe.Read.AsStream();
        Stream writer = pipe.Write.AsStream();
        byte[] buffer = new byte[8];

        ValueTask<int> memory = reader.ReadAsync(buffer.AsMemory(1, 4));
        await writer.WriteAsync("one"u8.ToArray().AsMemory());
        Assert.Equal(3, await memory);
        Assert.Equal("\0one"u8.ToArray(), buffer[..4]);

#pragma warning disable CA1835 // The forms with arrays are meant.
        Task<int> array = reader.ReadAsync(buffer, 2, 6);
        await writer.WriteAsync("xtwox"u8.ToArray(), 1, 3);
#pragma warning restore CA1835
        await writer.FlushAsync();
        Assert.Equal(3, await array);
        Assert.Equal("two"u8.ToArray(), buffer[2..5]);

        IAsyncResult begun = reader.BeginRead(buffer, 0, 8, null, null);
        writer.EndWrite(writer.BeginWrite("three"u8.ToArray(), 0, 5, null, null));
        Assert.Equal(5, await Task.Factory.FromAsync(begun, reader.EndRead));

        await writer.WriteAsync("exactly!"u8.ToArray());
        await reader.ReadExactlyAsync(buffer);
        Assert.Equal("exactly!"u8.ToArray(), buffer);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Every_synchronous_form_blocks_until_it_is_done()
    {
        await using PipePair pipe = new();
        Stream reader = pipe.Read.AsStream();
        Stream writer = pipe.Write.AsStream();
        byte[] received = new byte[300_000];
        Task read = Task.Run(() =>
        {
            Assert.Equal('a', reader.ReadByte());
            Span<byte> two = stackalloc byte[2];
            reader.ReadExactly(two);
            Assert.True(two.SequenceEqual("bc"u8));
            reader.ReadExactly(received, 0, received.Length);
            Assert.Equal(0, reader.Read(received, 0, 1));
            Assert.Equal(-1, reader.ReadByte());
        });
        await Waits.AssertPendingAsync(read);

        byte[] sent = FileExtensions.Pattern(received.Length);
        await Task.Run(() =>
        {
            writer.WriteByte((byte)'a');
            writer.Write("bc"u8);
            writer.Write(sent, 0, sent.Length);
            writer.Flush();
            writer.Dispose();
        });
        await read;
        FileExtensions.AssertSame(sent, received);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_can_be_copied(bool synchronously)
    {
        await using PipePair from = new();
        await using PipePair to = new();
        byte[] sent = FileExtensions.Pattern(1_000_000);
        Task copy = Task.Run(async () =>
        {
            if (synchronously)
            {
                from.Read.AsStream().CopyTo(to.Write.AsStream());
            }
            else
            {
                await from.Read.AsStream().CopyToAsync(to.Write.AsStream());
            }

            to.Write.Dispose();
        });
        Task<byte[]> received = to.Read.ReadToEndAsync();
        await from.Write.WriteAsync(sent);
        from.Write.Dispose();
        await copy;
        FileExtensions.AssertSame(sent, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Text_goes_through_it()
    {
        await using PipePair pipe = new();
        using StreamReader reader = new(pipe.Read.AsStream(), Encoding.UTF8);
        await using (StreamWriter writer = new(pipe.Write.AsStream()) { AutoFlush = true })
        {
            Task<string?> line = reader.ReadLineAsync();
            await writer.WriteLineAsync("Grüße");
            Assert.Equal("Grüße", await line);
            await writer.WriteAsync("the end");
        }

        Assert.Equal("the end", await reader.ReadToEndAsync());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Disposing_it_disposes_the_file(bool asynchronously)
    {
        await using PipePair pipe = new();
        Stream stream = pipe.Read.AsStream();
        Task<int> read = stream.ReadAsync(new byte[1]).AsTask();
        if (asynchronously)
        {
            await stream.DisposeAsync();
        }
        else
        {
            stream.Dispose();
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
        Assert.True(pipe.Read.Descriptor.IsClosed);
        Assert.False(stream.CanRead);
        Assert.Throws<ObjectDisposedException>(() => stream.ReadByte());
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await stream.ReadExactlyAsync(new byte[1]));
        stream.Dispose();
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Failures_and_cancellation_come_through()
    {
        await using PipePair pipe = new();
        Stream reader = pipe.Read.AsStream();
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(10));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await reader.ReadExactlyAsync(new byte[1], cancellation.Token));
        Assert.True(reader.FlushAsync(cancellation.Token).IsCanceled);

        pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(10)));
        await Task.Run(() => Assert.Throws<DeadlineExceededException>(() => reader.ReadByte()));
        Assert.Throws<ArgumentOutOfRangeException>(() => reader.Read(new byte[1], 0, 2));

        pipe.Read.Dispose();
        Stream writer = pipe.Write.AsStream();
        Assert.Throws<IOException>(() => writer.WriteByte(1));
        await Assert.ThrowsAsync<IOException>(async () => await writer.WriteAsync(new byte[1]));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_regular_file_is_a_stream_too()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("regular");
        await File.WriteAllTextAsync(path, "some text");
        using StreamReader reader = new(NetpollFile.Open(path, FileAccess.Read).AsStream());
        Assert.Equal("some text", await reader.ReadToEndAsync());
    }
}
