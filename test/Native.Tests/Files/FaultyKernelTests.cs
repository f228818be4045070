using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Signals, spurious EAGAIN and short transfers at any moment, and nobody uses a descriptor that is closed.</summary>
public sealed class FaultyKernelTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Nothing_is_lost_on_a_bad_day(int seed)
    {
        FaultyKernel kernel = new(seed) { Interruptions = 0.1, SpuriousWouldBlocks = 0.2, ShortTransfers = 0.5 };
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 }, kernel);
        await using (PipePair pipe = new(runtime))
        {
            byte[] sent = FileExtensions.Pattern(2_000_000, seed);
            Task<byte[]> received = Task.Run(() => pipe.Read.ReadToEndAsync());
            for (int i = 0; i < sent.Length; i += 50_000)
            {
                Assert.Equal(50_000, await pipe.Write.WriteAsync(sent.AsMemory(i, 50_000)));
            }

            await pipe.Write.DisposeAsync();
            FileExtensions.AssertSame(sent, await received);
        }

        Assert.NotEqual(0, kernel.Injected);
        Assert.Empty(kernel.Violations);
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_closed_descriptor_is_never_used(int seed)
    {
        FaultyKernel kernel = new(seed) { Interruptions = 0.05, SpuriousWouldBlocks = 0.2, ShortTransfers = 0.2 };
        NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 2 }, kernel);
        for (int round = 0; round < 100; round++)
        {
            PipePair pipe = new(runtime);
            Task[] users =
            [
                .. Enumerable.Range(0, 3).Select(_ => UseAsync(async () => await pipe.Read.ReadAsync(new byte[3_000]))),
                .. Enumerable.Range(0, 3).Select(_ => UseAsync(async () => await pipe.Write.WriteAsync(new byte[10_000]))),
                UseAsync(() =>
                {
                    pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMicroseconds(50)));
                    return Task.FromResult(1);
                }),
            ];
            Thread.SpinWait(round * 50);
            await Task.WhenAll(Task.Run(() => pipe.Read.DisposeAsync().AsTask()), Task.Run(() => pipe.Write.DisposeAsync().AsTask()));
            await Task.WhenAll(users);
        }

        runtime.Dispose();
        Assert.Empty(kernel.Violations);
        Assert.Empty(kernel.OpenDescriptors);
    }

    // Until the file is closed, or the other end is.
    private static Task UseAsync(Func<Task<int>> operation) => Task.Run(async () =>
    {
        try
        {
            while (await operation() != 0)
            {
                await Task.Yield();
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
        }
        catch (DeadlineExceededException)
        {
        }
    });
}
