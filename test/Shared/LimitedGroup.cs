using System.Globalization;

namespace KestrelNetpoll.Tests.Common;

/// <summary>A control group of its own, of whichever version, with a limit of threads or of memory.</summary>
internal sealed class LimitedGroup : IDisposable
{
    private readonly string _folder;

    private LimitedGroup(string folder) => _folder = folder;

    internal string Members => PathOf("cgroup.procs");

    /// <summary>Skips the test where there can be none: without root mostly, or in a container that shows its groups read-only.</summary>
    internal static LimitedGroup OfThreadsOrSkip(int limit) => CreateOrSkip(
        limit, ("/sys/fs/cgroup/pids", "pids.max"), ("/sys/fs/cgroup", "pids.max"));

    /// <param name="limit">In bytes.</param>
    /// <inheritdoc cref="OfThreadsOrSkip"/>
    internal static LimitedGroup OfMemoryOrSkip(long limit) => CreateOrSkip(
        limit, ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"));

    /// <summary>A number that the group has in one of its files, such as <c>pids.current</c>.</summary>
    internal int Read(string name) => int.Parse(File.ReadAllText(PathOf(name)), CultureInfo.InvariantCulture);

    internal string PathOf(string name) => Path.Combine(_folder, name);

    // What was killed is a member until it has been waited for.
    public void Dispose() => Assert.True(SpinWait.SpinUntil(TryDelete, Patience.Limit), $"{_folder} is not empty.");

    private static LimitedGroup CreateOrSkip(long limit, params (string Parent, string File)[] places)
    {
        List<string> reasons = [];
        foreach ((string parent, string file) in places)
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
                string path = Path.Combine(folder, file);
                if (File.Exists(path))
                {
                    File.WriteAllText(path, limit.ToString(CultureInfo.InvariantCulture));
                    return new LimitedGroup(folder);
                }

                Directory.Delete(folder);
                reasons.Add($"the groups of {parent} have no {file}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                reasons.Add($"{parent}: {e.Message}");
            }
        }

        Assert.Skip($"A control group with a limit cannot be made here, which takes root: {string.Join("; ", reasons)}.");
        throw new InvalidOperationException();
    }

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
