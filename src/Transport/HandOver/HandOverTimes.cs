namespace KestrelNetpoll.Transport.HandOver;

/// <summary>How long everything may take. As a service it is only registered by tests.</summary>
internal sealed record HandOverTimes
{
    /// <summary>For an answer of the other process: it has to do nothing for it but to look something up.</summary>
    internal TimeSpan Exchange { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>From a successor's first message until it is ready. Meanwhile no other one is listened to.</summary>
    internal TimeSpan Session { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Before accepting successors is tried again.</summary>
    internal TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Between two lines that say who is still connected.</summary>
    internal TimeSpan ReportInterval { get; init; } = TimeSpan.FromSeconds(5);
}
