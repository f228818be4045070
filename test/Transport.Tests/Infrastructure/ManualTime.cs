namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>A clock that goes when the test says so.</summary>
internal sealed class ManualTime : TimeProvider
{
    internal TimeSpan Now { get; set; } = TimeSpan.FromDays(1);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Now.Ticks;
}
