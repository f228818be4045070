using System.Diagnostics;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// Lets a test that hangs fail instead. The limit is far above what anything takes on a busy machine; no test asserts that
/// something is fast.
/// </summary>
internal static class Patience
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    internal static Task InTime(this Task task) => task.WaitAsync(Limit);

    internal static Task<T> InTime<T>(this Task<T> task) => task.WaitAsync(Limit);

    internal static Task InTime(this ValueTask task) => task.AsTask().WaitAsync(Limit);

    internal static Task<T> InTime<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Limit);

    /// <summary>For what cannot be awaited, such as a line in the log.</summary>
    internal static async Task UntilAsync(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < Limit, $"Gave up waiting until {what}.");
            await Task.Delay(5);
        }
    }
}
