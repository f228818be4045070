using System.Diagnostics;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// For what a busy machine may disturb: if it stops a thread in the middle of a turn, that looks as if the application blocked, and another
/// worker takes over. Tests that use this belong to the collection <see cref="Alone"/>, for other tests disturb as well.
/// </summary>
internal static class Undisturbed
{
    // A success is a point, a failure costs three. What works half of the time gets to Enough one time of 1,500;
    // what works nine times of ten gets to Broken one time of 3,000.
    private const int Cost = 3;
    private const int Enough = 12;
    private const int Broken = -16;

    private const double MostOfOthers = 0.1;
    private static readonly TimeSpan LongEnoughToTell = TimeSpan.FromSeconds(0.3);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Fails unless <paramref name="attempt"/> succeeds nearly always. While other processes keep the processors busy, it is tried again for
    /// some time; if they do not stop, it must succeed once.
    /// </summary>
    internal static async Task UsuallyAsync(Func<Task<bool>> attempt)
    {
        int points = 0;
        int attempts = 0;
        int successes = 0;
        var clock = Stopwatch.StartNew();
        ProcessorTime start = ProcessorTime.Read();
        while (clock.Elapsed < Longest || (successes == 0 && clock.Elapsed < Patience.Limit))
        {
            bool success = await attempt();
            attempts++;
            successes += success ? 1 : 0;
            points += success ? 1 : -Cost;
            if (points >= Enough)
            {
                return;
            }

            if (points <= Broken && ProcessorTime.Read() is var now && now.Since(start) > LongEnoughToTell)
            {
                double others = now.OthersSince(start);
                Assert.True(
                    others > MostOfOthers,
                    $"It happened in {successes} of {attempts} attempts, although others took only {others:P0} of the processors.");
                points = 0;
                start = now;
            }
        }

        Assert.True(successes != 0, $"It did not happen in {attempts} attempts.");
    }
}
