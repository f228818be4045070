using System.Diagnostics;

namespace BlockingHandlers;

/// <summary>What clients have seen of a server.</summary>
/// <param name="Transport">The one that the server had.</param>
/// <param name="FastAnswers">How often the fast route has answered.</param>
/// <param name="Median">How long such an answer took, and one that had not come by the end so far.</param>
/// <param name="Slowest">The same.</param>
/// <param name="BlockingAnswers">How often the route has answered that blocks.</param>
/// <param name="Threads">How many threads the server had in the end.</param>
internal sealed record Trial(string Transport, int FastAnswers, TimeSpan Median, TimeSpan Slowest, int BlockingAnswers, int Threads)
{
    internal static async Task<Trial> RunAsync(string transport, int clients, TimeSpan duration)
    {
        using ServerProcess server = await ServerProcess.StartAsync(transport);
        using var client = new HttpClient { BaseAddress = server.Address, Timeout = Timeout.InfiniteTimeSpan };

        // The first request of each kind takes longer on any transport.
        await client.GetStringAsync(BlockingServer.Fast);
        await client.GetStringAsync(BlockingServer.Block);

        using var end = new CancellationTokenSource(duration);
        Task<(int, List<TimeSpan>)> fast = AskAsync(client, BlockingServer.Fast, TimeSpan.FromMilliseconds(5), end.Token);
        (int Answers, List<TimeSpan>)[] blocking = await Task.WhenAll(
            Enumerable.Range(0, clients).Select(_ => AskAsync(client, BlockingServer.Block, TimeSpan.Zero, end.Token)));
        (int answers, List<TimeSpan> times) = await fast;
        times.Sort();
        int blockingAnswers = blocking.Sum(static one => one.Answers);
        return new Trial(server.Transport, answers, times[times.Count / 2], times[^1], blockingAnswers, server.Threads);
    }

    private static async Task<(int Answers, List<TimeSpan> Times)> AskAsync(
        HttpClient client, string path, TimeSpan pause, CancellationToken end)
    {
        List<TimeSpan> times = [];
        int answers = 0;
        do
        {
            long start = Stopwatch.GetTimestamp();
            try
            {
                await client.GetStringAsync(path, end);
                answers++;
            }
            catch (OperationCanceledException)
            {
                // It waits in vain: that counts as well.
            }

            times.Add(Stopwatch.GetElapsedTime(start));
            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, CancellationToken.None);
            }
        }
        while (!end.IsCancellationRequested);

        return (answers, times);
    }
}
