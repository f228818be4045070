using System.Diagnostics;
using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>
/// A message that is on its way to many: who has it, and how long it took. Receiving is thread-safe; rounds follow one another.
/// </summary>
internal sealed class BroadcastRound(int receivers)
{
    private double[] _latencies = [];
    private TaskCompletionSource<double[]> _completion = new();
    private string _message = "";
    private long _number;
    private long _sentAt;
    private int _received;

    /// <summary>Gets what ends when all have the message: how long it took to each, in microseconds.</summary>
    internal Task<double[]> Completion => _completion.Task;

    /// <summary>Begins the next round, and returns its message.</summary>
    internal string Begin()
    {
        _latencies = new double[receivers];
        _completion = new TaskCompletionSource<double[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        _received = 0;
        _message = (++_number).ToString(CultureInfo.InvariantCulture);
        _sentAt = Stopwatch.GetTimestamp();
        return _message;
    }

    internal void Receive(string message)
    {
        double latency = Stopwatch.GetElapsedTime(_sentAt).TotalMicroseconds;
        if (message != _message)
        {
            _completion.TrySetException(new LoadException($"SignalR sends '{message}' and not '{_message}'."));
            return;
        }

        int place = Interlocked.Increment(ref _received);
        _latencies[place - 1] = latency;
        if (place == receivers)
        {
            _completion.TrySetResult(_latencies);
        }
    }
}
