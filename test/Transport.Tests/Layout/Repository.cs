using System.Runtime.CompilerServices;

namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>The files that the tests were built from.</summary>
internal static class Repository
{
    private static readonly string[] Skipped = [".git", "bin", "obj", "artifacts", "TestResults", "node_modules"];

    internal static string Root { get; } = FindRoot();

    /// <summary>Paths from the root, with slashes, in order.</summary>
    /// <param name="extension">With its dot.</param>
    /// <param name="folders">Where to look, from the root; none: everywhere.</param>
    internal static IEnumerable<string> FilesOf(string extension, params string[] folders) =>
        (folders.Length == 0 ? [""] : folders)
            .SelectMany(folder => Walk(Path.Combine(Root, folder)))
            .Where(path => path.EndsWith(extension, StringComparison.Ordinal))
            .Select(path => Path.GetRelativePath(Root, path).Replace('\\', '/'))
            .Order(StringComparer.Ordinal);

    internal static string[] LinesOf(string file) => File.ReadAllLines(Path.Combine(Root, file));

    private static IEnumerable<string> Walk(string folder) => Directory.EnumerateFiles(folder).Concat(
        Directory.EnumerateDirectories(folder).Where(static path => !Skipped.Contains(Path.GetFileName(path))).SelectMany(Walk));

    // This file's own path, and, where the sources have been moved since they were compiled, what is around the test program.
    private static string FindRoot([CallerFilePath] string source = "")
    {
        foreach (string start in new[] { AppContext.BaseDirectory, Path.GetDirectoryName(source)! })
        {
            for (string? folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
            {
                if (File.Exists(Path.Combine(folder, "KestrelNetpoll.sln")))
                {
                    return folder;
                }
            }
        }

        throw new InvalidOperationException("KestrelNetpoll.sln is in no folder around the tests.");
    }
}
