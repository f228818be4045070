using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// The synchronous methods of a file's stream, on a thread of its own, while the thread pool has no thread left: each thing that can wake
/// such a call up must do so by itself.
/// </summary>
[Collection(nameof(Alone))]
public sealed class BlockingStreamTests
{
    private const int Blockers = 200;

    public enum Form
    {
        Byte,
        Span,
        Array,
    }

    [Theory]
    [InlineData(Form.Byte)]
    [InlineData(Form.Span)]
    [InlineData(Form.Array)]
    public void Data_ends_a_read(Form form) => WithoutThreadPool(pipe =>
    {
        Blocked<int> read = new(() => ReadOne(pipe.Read.AsStream(), form));
        read.AssertWaits();
        Blocked<int> write = new(() => WriteOne(pipe.Write.AsStream(), 7, form));
        Assert.Equal(7, write.Result());
        Assert.Equal(7, read.Result());
    });

    [Fact]
    public void The_end_of_the_file_ends_a_read() => WithoutThreadPool(pipe =>
    {
        Blocked<int> read = new(() => pipe.Read.AsStream().ReadByte());
        read.AssertWaits();
        pipe.Write.Dispose();
        Assert.Equal(-1, read.Result());
    });

    [Fact]
    public void Closing_ends_a_read() => WithoutThreadPool(pipe =>
    {
        Blocked<int> read = new(() => pipe.Read.AsStream().ReadByte());
        read.AssertWaits();
        pipe.Read.Dispose();
        Assert.IsType<ObjectDisposedException>(read.Failure());
    });

    [Fact]
    public void Closing_ends_a_write() => WithoutThreadPool(pipe =>
    {
        pipe.Fill();
        Blocked<int> write = new(() => Write(pipe, 1));
        write.AssertWaits();
        pipe.Write.Dispose();
        Assert.IsType<ObjectDisposedException>(write.Failure());
    });

    [Fact]
    public void A_deadline_ends_a_read() => WithoutThreadPool(pipe =>
    {
        Blocked<int> read = new(() => pipe.Read.AsStream().ReadByte());
        read.AssertWaits();
        pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
        Assert.IsType<DeadlineExceededException>(read.Failure());
    });

    [Fact]
    public void A_deadline_that_is_moved_ends_a_read_that_waits() => WithoutThreadPool(pipe =>
    {
        pipe.Read.SetReadDeadline(Moments.Later);
        Blocked<int> read = new(() => pipe.Read.AsStream().ReadByte());
        read.AssertWaits();
        pipe.Read.SetReadDeadline(Moments.Past);
        Assert.IsType<DeadlineExceededException>(read.Failure());

        // And the next one goes on.
        pipe.Read.SetReadDeadline(null);
        pipe.Write.AsStream().WriteByte(1);
        Assert.Equal(1, pipe.Read.AsStream().ReadByte());
    });

    [Fact]
    public void A_deadline_ends_a_write_and_says_how_far_it_got() => WithoutThreadPool(pipe =>
    {
        int capacity = pipe.Capacity;
        Blocked<int> write = new(() => Write(pipe, capacity + 1));
        write.AssertWaits();
        pipe.Write.SetWriteDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
        DeadlineExceededException exception = Assert.IsType<DeadlineExceededException>(write.Failure());
        Assert.Equal(capacity, exception.BytesWritten);
    });

    [Fact]
    public void Room_lets_a_long_write_go_on() => WithoutThreadPool(pipe =>
    {
        byte[] sent = FileExtensions.Pattern(1_000_000);
        byte[] received = new byte[sent.Length];
        Blocked<int> write = new(() =>
        {
            pipe.Write.AsStream().Write(sent);
            return sent.Length;
        });
        write.AssertWaits();
        pipe.Read.AsStream().ReadExactly(received);
        Assert.Equal(sent.Length, write.Result());
        FileExtensions.AssertSame(sent, received);
    });

    [Fact]
    public void A_read_takes_its_turn_behind_an_asynchronous_one() => WithoutThreadPool(pipe =>
    {
        byte[] first = new byte[1];
        Task<int> asynchronous = pipe.Read.ReadAsync(first).AsTask();
        Blocked<int> read = new(() => pipe.Read.AsStream().ReadByte());
        read.AssertWaits();
        pipe.Write.AsStream().Write([1, 2]);
        Assert.Equal(2, read.Result());
        Assert.Equal(1, first[0]);
        GC.KeepAlive(asynchronous);
    });

    [Fact]
    public void Closing_ends_reads_that_wait_for_their_turn() => WithoutThreadPool(pipe =>
    {
        Blocked<int>[] reads = [.. Enumerable.Range(0, 4).Select(_ => new Blocked<int>(() => pipe.Read.AsStream().ReadByte()))];
        reads[^1].AssertWaits();
        pipe.Read.Dispose();
        Assert.All(reads, read => Assert.IsType<ObjectDisposedException>(read.Failure()));
    });

    [Fact]
    public void A_regular_file_is_read_and_written() => WithoutThreadPool(_ =>
    {
        using TemporaryDirectory directory = new();
        File.WriteAllText(directory.PathOf("regular"), "0123456789");
        Blocked<int> work = new(() =>
        {
            using Stream stream = NetpollFile.Open(directory.PathOf("regular"), FileAccess.ReadWrite).AsStream();
            stream.Write("ab"u8);
            return stream.ReadByte();
        });
        Assert.Equal('2', work.Result());
        Assert.Equal("ab23456789", File.ReadAllText(directory.PathOf("regular")));
    });

    private static int ReadOne(Stream stream, Form form)
    {
        byte[] buffer = new byte[1];
        switch (form)
        {
            case Form.Byte:
                return stream.ReadByte();
            case Form.Span:
                Assert.Equal(1, stream.Read(buffer.AsSpan()));
                break;
            default:
                Assert.Equal(1, stream.Read(buffer, 0, buffer.Length));
                break;
        }

        return buffer[0];
    }

    private static int WriteOne(Stream stream, byte value, Form form)
    {
        byte[] buffer = [value];
        switch (form)
        {
            case Form.Byte:
                stream.WriteByte(value);
                break;
            case Form.Span:
                stream.Write(buffer.AsSpan());
                break;
            default:
                stream.Write(buffer, 0, buffer.Length);
                break;
        }

        return value;
    }

    private static int Write(PipePair pipe, int count)
    {
        pipe.Write.AsStream().Write(new byte[count]);
        return count;
    }

    // Whatever is queued to the pool while the body runs is behind more work that does not end than the pool may have threads.
    private static void WithoutThreadPool(Action<PipePair> body)
    {
        ThreadPool.GetMaxThreads(out int workers, out int completionPorts);
        ManualResetEventSlim release = new();
        PipePair pipe = new();
        try
        {
            int most = Math.Max(Blockers / 10, Environment.ProcessorCount);
            Assert.True(ThreadPool.SetMaxThreads(most, completionPorts));
            for (int i = 0; i < most * 10; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => release.Wait(), null);
            }

            body(pipe);
        }
        finally
        {
            release.Set();
            ThreadPool.SetMaxThreads(workers, completionPorts);
            pipe.Read.Dispose();
            pipe.Write.Dispose();
        }
    }

    /// <summary>A call on a thread of its own.</summary>
    private sealed class Blocked<T>
    {
        private readonly Thread _thread;
        private T _result = default!;
        private Exception? _failure;

        internal Blocked(Func<T> call)
        {
            _thread = new Thread(() =>
            {
                try
                {
                    _result = call();
                }
                catch (Exception exception)
                {
                    _failure = exception;
                }
            })
            { Name = "blocked caller", IsBackground = true };
            _thread.Start();
        }

        internal void AssertWaits() => Assert.False(_thread.Join(Waits.AWhile), $"It did not wait: {_failure}");

        internal T Result()
        {
            _thread.JoinInTime();
            Assert.Null(_failure);
            return _result;
        }

        internal Exception? Failure()
        {
            _thread.JoinInTime();
            return _failure;
        }
    }
}
