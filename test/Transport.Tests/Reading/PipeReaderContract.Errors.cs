using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Tests.Reading;

/// <summary>An input that ends with an error.</summary>
public abstract partial class PipeReaderContract
{
    protected abstract void FailInput(Exception reason);

    [Fact]
    public async Task An_error_is_thrown_by_every_way_to_read_and_drops_what_is_unread()
    {
        var error = new InvalidDataException();
        Send([1, 2, 3]);
        ReadResult result = await ReadAsync();
        Reader.AdvanceTo(result.Buffer.Start);
        FailInput(error);
        for (int i = 0; i < 2; i++)
        {
            Assert.Same(error, await Assert.ThrowsAsync<InvalidDataException>(ReadAsync));
            Assert.Same(error, Assert.Throws<InvalidDataException>(() => Reader.TryRead(out _)));
        }

        Reader.Complete();
        await Assert.ThrowsAsync<InvalidOperationException>(ReadAsync);
    }

    [Fact]
    public void An_error_that_is_known_is_thrown_by_the_call_and_not_through_its_task()
    {
        FailInput(new InvalidDataException());
        Assert.Throws<InvalidDataException>(() =>
        {
            _ = Reader.ReadAsync().AsTask();
        });
    }

    [Fact]
    public async Task An_error_ends_the_read_that_waits()
    {
        var error = new InvalidDataException();
        Task<ReadResult> read = Reader.ReadAsync().AsTask();
        FailInput(error);
        Assert.Same(error, await Assert.ThrowsAsync<InvalidDataException>(() => read.InTime()));
    }

    [Fact]
    public async Task A_cancellation_does_not_hide_an_error()
    {
        FailInput(new InvalidDataException());
        Reader.CancelPendingRead();
        await Assert.ThrowsAsync<InvalidDataException>(ReadAsync);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_callback_for_the_end_may_be_asked_for_and_disturbs_nothing(bool fail)
    {
        int called = 0;
#pragma warning disable CS0618 // Obsolete; some still ask for it.
        Reader.OnWriterCompleted((_, _) => Interlocked.Increment(ref called), state: null);
#pragma warning restore CS0618
        Send([1, 2]);
        ReadResult result = await ReadAsync();
        AssertBytes([1, 2], result);
        Reader.AdvanceTo(result.Buffer.End);
        if (fail)
        {
            FailInput(new InvalidDataException());
            await Assert.ThrowsAsync<InvalidDataException>(ReadAsync);
        }
        else
        {
            EndInput();
            Assert.True((await ReadAsync()).IsCompleted);
        }

        Reader.Complete();
        if (CallsBack)
        {
            await Patience.UntilAsync(() => Volatile.Read(ref called) != 0, "it has called back");
        }

        Assert.Equal(CallsBack ? 1 : 0, Volatile.Read(ref called));
    }
}
