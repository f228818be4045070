using System.Globalization;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>How long the machine's processors have been busy, and how much of that was this process.</summary>
internal readonly record struct ProcessorTime(DateTime Time, TimeSpan Busy, TimeSpan Own, int Processors)
{
    // USER_HZ, which is the same on every architecture that .NET runs on.
    private const double TicksPerSecond = 100;

    internal static ProcessorTime Read()
    {
        string[] lines = [.. File.ReadLines("/proc/stat").TakeWhile(static line => line.StartsWith("cpu", StringComparison.Ordinal))];

        // user, nice, system, idle, iowait, irq, softirq, steal; then what is contained in the first two.
        long[] ticks = [.. lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
            .Select(static field => long.Parse(field, CultureInfo.InvariantCulture))];
        long busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
        return new ProcessorTime(
            DateTime.UtcNow, TimeSpan.FromSeconds(busy / TicksPerSecond), Environment.CpuUsage.TotalTime, lines.Length - 1);
    }

    internal TimeSpan Since(ProcessorTime before) => Time - before.Time;

    /// <summary>The share of all processors that other processes took.</summary>
    internal double OthersSince(ProcessorTime before) =>
        ((Busy - before.Busy) - (Own - before.Own)) / (Since(before) * Processors);
}
