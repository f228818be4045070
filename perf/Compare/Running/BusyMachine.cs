using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Running;

/// <summary>
/// Whether the machine does something else before a run begins: its load average, and the pressure on its processors (PSI).
/// </summary>
internal static class BusyMachine
{
    private const string PressureFile = "/proc/pressure/cpu";
    private const double MuchLoad = 0.3;
    private const double MuchPressure = 5;

    /// <summary>What a reader should know; null: the machine is quiet.</summary>
    internal static string? Describe() => Describe(
        File.ReadAllText("/proc/loadavg"),
        File.Exists(PressureFile) ? File.ReadAllText(PressureFile) : "",
        Machine.CountProcessors());

    /// <param name="loadAverage">Begins with the average of one minute.</param>
    /// <param name="pressure">
    /// Its first line has the part of the last ten seconds, in percent, in which something waited for a processor.
    /// </param>
    /// <param name="processors">How many there are.</param>
    internal static string? Describe(string loadAverage, string pressure, int processors)
    {
        double load = Number(loadAverage.Split(' ')[0]);
        double waiting = pressure.Split([' ', '\n'])
            .Where(static word => word.StartsWith("avg10=", StringComparison.Ordinal))
            .Select(static word => Number(word["avg10=".Length..]))
            .FirstOrDefault();
        return load > MuchLoad * processors || waiting > MuchPressure
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"the machine was busy before the start: load average {load:0.00} on {processors} processors, "
                + $"{waiting:0.#} % of the time something waited for one")
            : null;
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
