using KestrelNetpoll.Perf.Compare.Model;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>What one pass of one leg gave.</summary>
internal sealed class PassFigures
{
    private readonly SortedDictionary<string, double> _values = new(StringComparer.Ordinal);

    /// <summary>Gets or sets the transport that the server of this pass was really on.</summary>
    internal string? Transport { get; set; }

    /// <summary>Gets or sets a value indicating whether the load generator was what limited it.</summary>
    internal bool GeneratorLimited { get; set; }

    /// <summary>A figure that is not there is NaN.</summary>
    internal double this[Metric metric]
    {
        get => _values.GetValueOrDefault(metric.Id, double.NaN);
        set
        {
            if (double.IsFinite(value))
            {
                _values[metric.Id] = value;
            }
        }
    }

    internal void Add(IReadOnlyDictionary<Metric, double> values)
    {
        foreach ((Metric metric, double value) in values)
        {
            this[metric] = value;
        }
    }

    internal Sample ToSample(int pass) => new(pass, GeneratorLimited, _values);
}
