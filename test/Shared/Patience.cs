using System.Diagnostics;

namespace KestrelNetpoll.Tests.Common;

/// <summary>
/// Makes a test that hangs fail instead. The limit is far above what anything takes on a busy machine; no test asserts that
/// something is fast.
/// </summary>
internal static class Patience
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    internal static Task InTime(this Task task) => task.WaitAsync(Limit);

    internal static Task<T> InTime<T>(this Task<T> task) => task.WaitAsync(Limit);

    internal static Task InTime(this ValueTask task) => task.AsTask().WaitAsync(Limit);

    internal static Task<T> InTime<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Limit);

    /// <summary>For threads of a test's own.</summary>
    internal static void JoinInTime(this Thread thread) =>
        Assert.True(thread.Join(Limit), $"Thread '{thread.Name}' did not end.");

    internal static void WaitInTime(this ManualResetEventSlim signal, string what) =>
        Assert.True(signal.Wait(Limit), $"Gave up waiting until {what}.");

    /// <summary>For what cannot be awaited, such as a line in the log.</summary>
    /// <param name="condition">What is waited for.</param>
    /// <param name="what">The same in words, for the failure.</param>
    /// <param name="found">What there is instead, for the failure.</param>
    internal static async Task UntilAsync(Func<bool> condition, string what, Func<string>? found = null)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed >= Limit)
            {
                Assert.Fail($"Gave up waiting until {what}. {found?.Invoke()}");
            }

            await Task.Delay(5);
        }
    }

    /// <summary>
    /// The same without an await. Spins for a while before it sleeps: most of what is waited for like this takes microseconds, and a test
    /// of a race must go on right after the other side.
    /// </summary>
    internal static void Until(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        var spinner = default(SpinWait);
        while (!condition())
        {
            Assert.True(clock.Elapsed < Limit, $"Gave up waiting until {what}.");
            spinner.SpinOnce(sleep1Threshold: clock.ElapsedMilliseconds < 1 ? -1 : 20);
        }
    }
}
