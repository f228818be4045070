namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>What the kernel says about this process, for tests that run alone.</summary>
internal static class ProcessState
{
    // Regular files are left out: the runtime opens assemblies whenever it likes.
    private static readonly string[] Kinds = ["socket:", "anon_inode:", "pipe:"];

    /// <summary>Sockets, epolls, eventfds and pipes.</summary>
    internal static int OpenDescriptors() =>
        Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(static path =>
            LinkOf(path) is { } link && Kinds.Any(kind => link.StartsWith(kind, StringComparison.Ordinal)));

    internal static int ThreadsNamed(string prefix) =>
        Directory.EnumerateDirectories("/proc/self/task").Count(task => NameOf(task).StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Once nothing changes any more: what earlier tests did not dispose of is closed by finalizers.</summary>
    internal static async Task<int> SettledDescriptorsAsync()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return (int)await SettledAsync(static () => OpenDescriptors());
    }

    /// <summary>The value that <paramref name="read"/> goes on having, one look after the other.</summary>
    internal static async Task<long> SettledAsync(Func<long> read)
    {
        long last = read();
        int unchanged = 0;
        await Patience.UntilAsync(
            () =>
            {
                long now = read();
                unchanged = now == last ? unchanged + 1 : 0;
                last = now;
                return unchanged == 20;
            },
            "a value stays the same");
        return last;
    }

    // A descriptor or a thread may be gone by the time it is looked at.
    private static string? LinkOf(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string NameOf(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm"));
        }
        catch (IOException)
        {
            return "";
        }
    }
}
