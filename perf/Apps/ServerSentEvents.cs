using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>
/// A stream of messages some time apart: the number of each, and when it was sent, by the clock that all processes of the machine share
/// (<c>CLOCK_MONOTONIC</c>, in nanoseconds).
/// </summary>
internal static class ServerSentEvents
{
    internal static void Map(WebApplication app) => app.MapGet(
        "/events/{interval:int}",
        static (int interval, CancellationToken cancellationToken) =>
            TypedResults.ServerSentEvents(MakeAsync(TimeSpan.FromMilliseconds(interval), cancellationToken)));

    private static async IAsyncEnumerable<string> MakeAsync(TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (long number = 1; !cancellationToken.IsCancellationRequested; number++)
        {
            await Task.Delay(interval, cancellationToken);
            yield return FormattableString.Invariant($"{number} {Stopwatch.GetTimestamp()}");
        }
    }
}
