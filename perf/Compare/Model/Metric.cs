using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Model;

internal enum Better
{
    Lower,
    Higher,
}

/// <summary>A figure that is collected: what it is called, how it is written, and which way is better.</summary>
/// <param name="Id">Its key in the samples.</param>
/// <param name="Title">Its name in tables.</param>
/// <param name="Better">Which of two is better.</param>
/// <param name="Unit">What follows the number.</param>
/// <param name="Scale">What a sample is multiplied with before it is written.</param>
/// <param name="DependsOnGenerator">Whether a load generator at its limit makes it meaningless.</param>
internal sealed record Metric(string Id, string Title, Better Better, string Unit, double Scale = 1, bool DependsOnGenerator = false)
{
    private const double Thousand = 1000;
    private const double Hundred = 100;
    private const double Ten = 10;

    internal string Format(double value)
    {
        string number = Number(value);
        return Unit.Length == 0 ? number : $"{number} {Unit}";
    }

    /// <summary>Without the unit, with as many digits as say something.</summary>
    internal string Number(double value)
    {
        double scaled = value * Scale;
        double size = Math.Abs(scaled);
        string format = size >= Thousand ? "N0" : size >= Hundred ? "F0" : size >= Ten ? "F1" : "F2";
        return scaled.ToString(format, CultureInfo.InvariantCulture);
    }
}
