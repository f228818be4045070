using System.Globalization;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>A control group of its own, of whichever version, with a limit of threads.</summary>
internal sealed class PidsGroup : IDisposable
{
    private readonly string _folder;

    private PidsGroup(string folder) => _folder = folder;

    internal string Members => Path.Combine(_folder, "cgroup.procs");

    /// <summary>Threads now.</summary>
    internal int Count => int.Parse(File.ReadAllText(Path.Combine(_folder, "pids.current")), CultureInfo.InvariantCulture);

    /// <summary>Skips the test where there can be none: without root mostly, or in a container that shows its groups read-only.</summary>
    internal static PidsGroup CreateOrSkip(int limit)
    {
        List<string> reasons = [];
        foreach (string parent in new[] { "/sys/fs/cgroup/pids", "/sys/fs/cgroup" })
        {
            string folder = Path.Combine(parent, $"netpoll-test-{Environment.ProcessId}");
            try
            {
                if (!File.Exists(Path.Combine(parent, "cgroup.procs")))
                {
                    reasons.Add($"{parent} is no control group");
                    continue;
                }

                Directory.CreateDirectory(folder);
                if (File.Exists(Path.Combine(folder, "pids.max")))
                {
                    File.WriteAllText(Path.Combine(folder, "pids.max"), limit.ToString(CultureInfo.InvariantCulture));
                    return new PidsGroup(folder);
                }

                Directory.Delete(folder);
                reasons.Add($"{parent} does not limit its members' threads");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                reasons.Add($"{parent}: {e.Message}");
            }
        }

        Assert.Skip($"A control group with pids.max cannot be made here, which takes root: {string.Join("; ", reasons)}.");
        throw new InvalidOperationException();
    }

    // What was killed is a member until it has been waited for.
    public void Dispose() => Assert.True(SpinWait.SpinUntil(TryDelete, Patience.Limit), $"{_folder} is not empty.");

    private bool TryDelete()
    {
        try
        {
            Directory.Delete(_folder);
            return true;
        }
        catch (IOException)
        {
            Thread.Sleep(10);
            return false;
        }
    }
}
