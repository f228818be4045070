namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>What scenarios expect, in words.</summary>
internal static class ObservationExtensions
{
    internal static Observation Answered(this Observation observation, string line, int times = 1)
    {
        Assert.Equal(times, observation.Client.Count(seen => seen.Contains(line, StringComparison.Ordinal)));
        return observation;
    }

    internal static Observation Ended(this Observation observation, string how)
    {
        Assert.All(observation.Client.Where(static line => line.EndsWith(')')), line => Assert.EndsWith($"({how})", line, StringComparison.Ordinal));
        return observation;
    }

    internal static Observation Noted(this Observation observation, params string[] notes)
    {
        Assert.All(notes, note => Assert.Contains(note, observation.App));
        return observation;
    }

    internal static Observation Logged(this Observation observation, int id)
    {
        Assert.Contains(observation.TransportLog, line => line.StartsWith($"{id} ", StringComparison.Ordinal));
        return observation;
    }

    /// <summary>Nothing above Information. That both inform alike, the comparison sees.</summary>
    internal static Observation Quiet(this Observation observation)
    {
        Assert.All(observation.LoudLog, static line => Assert.StartsWith("Information", line, StringComparison.Ordinal));
        return observation;
    }
}
