namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Deadlines.</summary>
internal static class Moments
{
    /// <summary>Far enough away never to come during a test.</summary>
    internal static DateTimeOffset Later => DateTimeOffset.UtcNow + TimeSpan.FromHours(1);

    internal static DateTimeOffset Past => DateTimeOffset.UtcNow - TimeSpan.FromSeconds(1);

    internal static DateTimeOffset In(TimeSpan delay) => DateTimeOffset.UtcNow + delay;
}
