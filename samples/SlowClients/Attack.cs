using System.Diagnostics;
using System.Globalization;

namespace SlowClients;

/// <summary>Attackers of all kinds, and an honest client beside them.</summary>
internal sealed class Attack(Uri server, int attackersOfEachKind, TimeSpan duration)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(500);

    private int _answers;
    private TimeSpan _slowest;

    /// <returns>Whether the server has got rid of all attackers, and nobody else has noticed.</returns>
    internal async Task<bool> RunAsync()
    {
        using var end = new CancellationTokenSource(duration);
        using var client = new HttpClient { BaseAddress = server };
        Attacker[][] attackers = [];
        try
        {
            string before = await client.GetStringAsync(GuardedServer.Counters);
            attackers =
            [
                .. Attacker.Kinds.Select(kind => Enumerable.Range(0, attackersOfEachKind)
                    .Select(_ => Attacker.Start(server, kind.Attack, end.Token)).ToArray()),
            ];
            await AskWhileAttackedAsync(client, attackers, end.Token);
            string now = await client.GetStringAsync(GuardedServer.Counters);
            Console.WriteLine($"\nThe server has counted, before:\n{before}and now:\n{now}");
            return attackers.All(static kind => kind.All(static attacker => attacker.HasLeft));
        }
        catch (HttpRequestException e)
        {
            Console.Error.WriteLine($"A normal request has failed: {e.Message}");
            return false;
        }
        finally
        {
            foreach (Attacker attacker in attackers.SelectMany(static kind => kind))
            {
                attacker.Dispose();
            }
        }
    }

    private async Task AskWhileAttackedAsync(HttpClient client, Attacker[][] attackers, CancellationToken end)
    {
        for (int i = 0; i < Attacker.Kinds.Count; i++)
        {
            Console.WriteLine($"{(char)('A' + i)}  {Attacker.Kinds[i].Does}");
        }

        Console.WriteLine($"\n{"time",8}{"left: A",10}{"B",6}{"C",6}{"D",6}{"normal requests",18}{"slowest",12}");
        long start = Stopwatch.GetTimestamp();
        TimeSpan nextReport = ReportInterval;
        while (!end.IsCancellationRequested && attackers.Any(static kind => !kind.All(static attacker => attacker.HasLeft)))
        {
            await AskAsync(client);
            await Task.Delay(Pause, CancellationToken.None);
            if (Stopwatch.GetElapsedTime(start) >= nextReport)
            {
                Report(attackers, nextReport);
                nextReport += ReportInterval;
            }
        }

        Report(attackers, Stopwatch.GetElapsedTime(start));
    }

    private async Task AskAsync(HttpClient client)
    {
        long asked = Stopwatch.GetTimestamp();
        await client.GetStringAsync("/");
        _answers++;
        TimeSpan time = Stopwatch.GetElapsedTime(asked);
        _slowest = time > _slowest ? time : _slowest;
    }

    private void Report(Attacker[][] attackers, TimeSpan elapsed)
    {
        int[] left = [.. attackers.Select(static kind => kind.Count(static attacker => !attacker.HasLeft))];
        FormattableString line =
            $"{elapsed.TotalSeconds,6:N1} s{left[0],10}{left[1],6}{left[2],6}{left[3],6}{_answers,18}{_slowest.TotalMilliseconds,9:N1} ms";
        Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        _slowest = TimeSpan.Zero;
    }
}
