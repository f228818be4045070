namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>Where Tmds.LibC may be named: other systems have no such assembly, and other code would have to be changed for them.</summary>
public sealed class TmdsLibCPlaceTests
{
    private const string Place = "Native/Interop/Linux/";

    [Fact]
    public void Only_the_folder_for_Linux_names_it()
    {
        string source = Path.Combine(FindRoot(), "src");
        string[] naming =
        [
            .. Directory.EnumerateFiles(source, "*.cs", SearchOption.AllDirectories)
                .Select(file => Path.GetRelativePath(source, file))
                .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
                .Where(file => File.ReadLines(Path.Combine(source, file)).Any(line => line.Contains("Tmds", StringComparison.Ordinal))),
        ];

        Assert.NotEmpty(naming);
        Assert.DoesNotContain(naming, file => !file.StartsWith(Place, StringComparison.Ordinal));
    }

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "KestrelNetpoll.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        Assert.SkipUnless(directory is not null, "The test does not run inside the repository, whose sources it reads.");
        return directory;
    }
}
