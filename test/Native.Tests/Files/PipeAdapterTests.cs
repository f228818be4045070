using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>A file as a <see cref="PipeReader"/> or a <see cref="PipeWriter"/>.</summary>
public sealed class PipeAdapterTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task Lines_are_read_as_they_come()
    {
        await using PipePair pipe = new();
        PipeReader reader = pipe.Read.AsPipeReader();
        await pipe.Write.WriteAsync("one\ntw"u8.ToArray());
        Assert.Equal("one", await ReadLineAsync(reader));

        Task<string> line = ReadLineAsync(reader);
        await Waits.AssertPendingAsync(line);
        await pipe.Write.WriteAsync("o\n"u8.ToArray());
        Assert.Equal("two", await line);

        pipe.Write.Dispose();
        ReadResult end = await reader.ReadAsync();
        Assert.True(end.IsCompleted && end.Buffer.IsEmpty);
        await reader.CompleteAsync();
        Assert.True(pipe.Read.Descriptor.IsClosed);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task What_is_flushed_is_sent_with_back_pressure()
    {
        await using PipePair pipe = new();
        PipeWriter writer = pipe.Write.AsPipeWriter();
        byte[] sent = FileExtensions.Pattern(1_000_000);
        writer.Write(sent);
        Task<FlushResult> flush = writer.FlushAsync().AsTask();
        await Waits.AssertPendingAsync(flush);

        FileExtensions.AssertSame(sent, await pipe.Read.ReadExactlyAsync(sent.Length));
        Assert.False((await flush).IsCanceled);
        await writer.CompleteAsync();
        Assert.Empty(await pipe.Read.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task One_is_copied_to_the_other()
    {
        await using PipePair from = new();
        await using PipePair to = new();
        byte[] sent = FileExtensions.Pattern(500_000);
        Task copy = Task.Run(async () =>
        {
            PipeReader reader = from.Read.AsPipeReader();
            PipeWriter writer = to.Write.AsPipeWriter();
            await reader.CopyToAsync(writer);
            await reader.CompleteAsync();
            await writer.CompleteAsync();
        });
        Task<byte[]> received = to.Read.ReadToEndAsync();
        await from.Write.WriteAsync(sent);
        from.Write.Dispose();
        await copy;
        FileExtensions.AssertSame(sent, await received);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task The_file_stays_open_when_asked_to()
    {
        await using PipePair pipe = new();
        await pipe.Read.AsPipeReader(new StreamPipeReaderOptions(leaveOpen: true)).CompleteAsync();
        await pipe.Write.AsPipeWriter(new StreamPipeWriterOptions(leaveOpen: true)).CompleteAsync();

        await pipe.Write.WriteAsync("open"u8.ToArray());
        Assert.Equal("open", Encoding.UTF8.GetString(await pipe.Read.ReadSomeAsync()));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_pending_read_can_be_cancelled_without_loss()
    {
        await using PipePair pipe = new();
        PipeReader reader = pipe.Read.AsPipeReader();
        Task<ReadResult> read = reader.ReadAsync().AsTask();
        await Waits.AssertPendingAsync(read);
        reader.CancelPendingRead();
        Assert.True((await read).IsCanceled);

        await pipe.Write.WriteAsync("x\n"u8.ToArray());
        Assert.Equal("x", await ReadLineAsync(reader));
    }

    [Fact]
    public async Task The_wrong_end_is_refused()
    {
        await using PipePair pipe = new();
        Assert.Throws<NotSupportedException>(() => pipe.Read.AsPipeWriter());
        Assert.Throws<NotSupportedException>(() => pipe.Write.AsPipeReader());
    }

    private static async Task<string> ReadLineAsync(PipeReader reader)
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync();
            if (result.Buffer.PositionOf((byte)'\n') is { } end)
            {
                string line = Encoding.UTF8.GetString(result.Buffer.Slice(0, end));
                reader.AdvanceTo(result.Buffer.GetPosition(1, end));
                return line;
            }

            Assert.False(result.IsCompleted);
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }
}
