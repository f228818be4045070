using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>How much of the processors' time other guests of the same machine have taken: the eighth column of <c>/proc/stat</c>.</summary>
internal readonly record struct StolenTime(long Stolen, long All)
{
    private const double Noticed = 0.01;
    private const double Percent = 100;
    private const int Columns = 8;

    internal static StolenTime Read() => Parse(File.ReadLines("/proc/stat").First());

    /// <param name="line">The one of all processors: a name, and ticks by what they were spent on.</param>
    internal static StolenTime Parse(string line)
    {
        // What follows are parts of the first two.
        long[] ticks =
        [
            .. line.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Skip(1).Take(Columns)
                .Select(static word => long.Parse(word, CultureInfo.InvariantCulture)),
        ];
        return new StolenTime(ticks.Length == Columns ? ticks[^1] : 0, ticks.Sum());
    }

    /// <summary>What a reader should know of the time since then; null: nothing.</summary>
    internal string? Since(StolenTime before)
    {
        double part = (Stolen - before.Stolen) / (double)Math.Max(1, All - before.All);
        return part > Noticed
            ? FormattableString.Invariant($"{part * Percent:0.#} % of the processors' time was taken by other guests (steal)")
            : null;
    }
}
