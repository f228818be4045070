using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>What the transport's meter of one service provider says. The meters of other servers in this process have the same
/// name.</summary>
internal sealed class Measured : IDisposable
{
    private readonly MeterListener _listener;
    private readonly ConcurrentDictionary<string, Instrument> _instruments = new();
    private readonly ConcurrentDictionary<string, double> _values = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    internal Measured(IMeterFactory meters)
    {
        _listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "KestrelNetpoll.Transport" && instrument.Meter.Scope == meters)
                {
                    _instruments[instrument.Name] = instrument;
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
    }

    internal IReadOnlyCollection<Instrument> Instruments => [.. _instruments.Values];

    /// <summary>The last value: by the instrument's name, and the values of its tags behind it.</summary>
    internal double this[string name] => _values[name];

    internal IEnumerable<string> Names => _values.Keys;

    internal int CountOf(string name) => _counts.GetValueOrDefault(name);

    internal void Observe() => _listener.RecordObservableInstruments();

    public void Dispose() => _listener.Dispose();

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string name = instrument.Name;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            name += $".{tag.Value}";
        }

        _values[name] = value;
        _counts.AddOrUpdate(name, 1, static (_, count) => count + 1);
    }
}
