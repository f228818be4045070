using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace KestrelNetpoll.Perf.Server;

/// <summary>
/// Work for a processor: a fixed number of steps rather than a span of time, so that a thread that has to share its processor takes longer,
/// as a real computation would. Thread-safe.
/// </summary>
internal sealed class SpinWork
{
    private const int CalibrationRounds = 50;
    private const int CalibrationSteps = 200_000;

    // Not before it is asked for: it would count for the time that the server takes to start.
    private readonly Lazy<double> _stepsPerMillisecond = new(Calibrate);

    internal ulong Run(int milliseconds) => Spin((long)(milliseconds * _stepsPerMillisecond.Value));

    // The fastest round is the one that nobody disturbed.
    private static double Calibrate()
    {
        TimeSpan fastest = TimeSpan.MaxValue;
        for (int round = 0; round < CalibrationRounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            Spin(CalibrationSteps);
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            fastest = elapsed < fastest ? elapsed : fastest;
        }

        return CalibrationSteps / fastest.TotalMilliseconds;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static ulong Spin(long steps)
    {
        ulong state = 1;
        for (long i = 0; i < steps; i++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }

        return state;
    }
}
