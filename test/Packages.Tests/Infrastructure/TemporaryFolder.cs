namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>A folder outside of the repository, so that nothing of the repository's settings applies to what is built there.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    // None of the names that are looked for in warnings is in the path.
    internal string Path { get; } = Directory.CreateTempSubdirectory("packed-").FullName;

    /// <summary>A folder in it, which is made if need be.</summary>
    internal string Folder(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, name)).FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);

    /// <summary>Copies a folder, without what was built in it.</summary>
    internal static void CopySources(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(from))
        {
            File.Copy(file, System.IO.Path.Combine(to, System.IO.Path.GetFileName(file)));
        }

        foreach (string folder in Directory.EnumerateDirectories(from))
        {
            if (System.IO.Path.GetFileName(folder) is not ("bin" or "obj") and string name)
            {
                CopySources(folder, System.IO.Path.Combine(to, name));
            }
        }
    }
}
