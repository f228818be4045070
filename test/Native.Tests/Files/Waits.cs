using System.Diagnostics;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>How long tests wait. Nothing here is an expectation about speed.</summary>
internal static class Waits
{
    /// <summary>Milliseconds after which a test hangs. For <see cref="FactAttribute.Timeout"/>.</summary>
    internal const int Limit = 30_000;

    /// <summary>How long something that must not happen is given to happen.</summary>
    internal static readonly TimeSpan AWhile = TimeSpan.FromMilliseconds(50);

    /// <summary>The operation is still waiting after a while.</summary>
    internal static async Task AssertPendingAsync(Task operation)
    {
        await Task.Delay(AWhile);
        Assert.False(operation.IsCompleted, $"It did not wait: {operation.Status} {operation.Exception?.InnerException}");
    }

    /// <summary>For what becomes true on some other thread and tells nobody.</summary>
    internal static async Task UntilAsync(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(start).TotalMilliseconds < Limit, "It never became true.");
            await Task.Delay(1);
        }
    }
}
