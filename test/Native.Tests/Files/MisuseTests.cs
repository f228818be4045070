namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// Operations are recycled, so a value task that is used against its rules could reach somebody else's operation. It must get an
/// exception instead.
/// </summary>
public sealed class MisuseTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task Asking_too_early_throws_and_harms_nothing()
    {
        await using PipePair pipe = new();
        byte[] buffer = new byte[8];
        ValueTask<int> read = pipe.Read.ReadAsync(buffer);

        // What "read.Result" does when the read is still waiting.
        Assert.Throws<InvalidOperationException>(() => read.GetAwaiter().GetResult());

        await pipe.Write.WriteAsync("data"u8.ToArray());
        Assert.Equal(4, await read);
        Assert.Equal("data"u8.ToArray(), buffer[..4]);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Awaiting_twice_throws_and_harms_nothing()
    {
        await using PipePair pipe = new();
        ValueTask<int> first = pipe.Read.ReadAsync(new byte[8]);
        await pipe.Write.WriteAsync("first"u8.ToArray());
        Assert.Equal(5, await first);

        // The operation of the first read serves the second one now.
        byte[] buffer = new byte[8];
        ValueTask<int> second = pipe.Read.ReadAsync(buffer);
        Assert.Throws<InvalidOperationException>(() => first.GetAwaiter().GetResult());
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await first);

        await pipe.Write.WriteAsync("second"u8.ToArray());
        Assert.Equal(6, await second);
        Assert.Equal("second"u8.ToArray(), buffer[..6]);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_result_that_nobody_collects_is_no_obstacle()
    {
        await using PipePair pipe = new();
        for (int i = 0; i < 10; i++)
        {
            _ = pipe.Read.ReadAsync(new byte[1]).Preserve();
            await pipe.Write.WriteAsync(new byte[1]);
            _ = pipe.Write.WriteAsync(new byte[1]).Preserve();
            Assert.Equal(1, await pipe.Read.ReadAsync(new byte[1]));
        }
    }
}
