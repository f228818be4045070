using System.Globalization;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace KestrelNetpoll.Transport.Diagnostics;

/// <summary>
/// Looks whether the transport gets its work done. It waits for no worker, but for as long as it is told to: it can say that all of them
/// are stuck.
/// </summary>
internal sealed class NetpollHealthCheck(MetricsSource? source, Func<string?> readObstacle, NetpollHealthCheckOptions options)
    : IHealthCheck
{
    private const double NanosecondsPerSecond = 1e9;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (source is null)
        {
            // Thrown here, where it is this check's result: where the check is made, it would be the end of the others.
            throw new InvalidOperationException("The health check of the netpoll transport needs UseNetpollTransport.");
        }

        IReadOnlyList<WorkerGroup> groups = source.Groups();
        if (groups.Count == 0)
        {
            return HealthCheckResult.Healthy($"The netpoll transport serves no endpoint. {readObstacle()}".TrimEnd());
        }

        (QueueProbe Probe, Task Run)[] probes = [.. groups.Select(static group => (group.QueueProbe, group.QueueProbe.WhenRunAsync()))];
        Task all = Task.WhenAll(probes.Select(static probe => probe.Run));
        await Task.WhenAny(all, Task.Delay(options.QueueTimeBound, cancellationToken)).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();

        List<string> complaints = [];
        bool isStalled = LookAtQueues(probes, complaints, out double queueTime);
        int missing = groups.Sum(static group => group.RefusedTurns);
        if (missing != 0)
        {
            complaints.Add(string.Create(
                CultureInfo.InvariantCulture, $"{missing} blocked worker(s) cannot be replaced: the limit of threads is reached"));
        }

        ListenerState[] listeners = source.Listeners();
        foreach (ListenerState listener in listeners.Where(static listener => listener.IsPaused))
        {
            complaints.Add($"accepting on {listener.EndPoint} pauses: the system has no room for another connection");
        }

        var data = new Dictionary<string, object>
        {
            ["queueSeconds"] = queueTime,
            ["workers"] = source.Counters().Workers,
            ["workersMissing"] = missing,
            ["acceptPaused"] = listeners.Count(static listener => listener.IsPaused),
        };
        if (complaints.Count == 0)
        {
            return HealthCheckResult.Healthy("The netpoll transport works.", data);
        }

        string description = $"The netpoll transport: {string.Join("; ", complaints)}.";
        return isStalled
            ? new HealthCheckResult(context.Registration.FailureStatus, description, exception: null, data)
            : HealthCheckResult.Degraded(description, exception: null, data);
    }

    // True: nothing has run for too long.
    private bool LookAtQueues((QueueProbe Probe, Task Run)[] probes, List<string> complaints, out double queueTime)
    {
        queueTime = 0;
        double longestStandstill = 0;
        foreach ((QueueProbe probe, Task run) in probes)
        {
            // One may run just now: then it does not wait any more.
            if (!run.IsCompleted)
            {
                queueTime = Math.Max(queueTime, probe.Waits(out long standstill) / NanosecondsPerSecond);
                longestStandstill = Math.Max(longestStandstill, standstill / NanosecondsPerSecond);
            }
        }

        if (queueTime == 0)
        {
            return false;
        }

        bool isStalled = longestStandstill >= options.StallBound.TotalSeconds;
        string complaint = string.Create(CultureInfo.InvariantCulture, $"work has waited for a worker for {queueTime:0.0} s");
        complaints.Add(isStalled
            ? string.Create(CultureInfo.InvariantCulture, $"{complaint}, and no turn has begun for {longestStandstill:0.0} s")
            : complaint);
        return isStalled;
    }
}
