using System.Text.Json;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>The sources that these tests were built from.</summary>
internal static class Repository
{
    internal const string SolutionOfLibraries = "Libraries.slnx";

    private static readonly string[] Folders = ["src", "tools"];

    private static readonly string[] Files =
        [".editorconfig", ".gitattributes", ".gitignore", "Directory.Build.props", "Directory.Packages.props", "global.json", "LICENSE"];

    /// <summary>Skips the test where the sources are not above this program.</summary>
    internal static string Root
    {
        get
        {
            DirectoryInfo? folder = new(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "KestrelNetpoll.sln")))
            {
                folder = folder.Parent;
            }

            Assert.SkipWhen(folder is null, $"The sources are not above {AppContext.BaseDirectory}.");
            return folder!.FullName;
        }
    }

    /// <summary>Copies what the packages are made of, with a solution that has their projects only.</summary>
    internal static void CopyTo(string target)
    {
        string root = Root;
        Directory.CreateDirectory(target);
        Array.ForEach(Folders, folder => TemporaryFolder.CopySources(Path.Combine(root, folder), Path.Combine(target, folder)));
        Array.ForEach(Files, file => File.Copy(Path.Combine(root, file), Path.Combine(target, file)));
        File.WriteAllText(
            Path.Combine(target, SolutionOfLibraries),
            """
            <Solution>
              <Project Path="src/Native/KestrelNetpoll.Native.csproj" />
              <Project Path="src/Transport/KestrelNetpoll.Transport.csproj" />
            </Solution>
            """);
    }

    /// <summary>Where the restore of these sources has put the packages.</summary>
    internal static async Task<string> ReadPackageFolderAsync(string sources)
    {
        await using FileStream assets = File.OpenRead(Path.Combine(sources, "src/Native/obj/project.assets.json"));
        using JsonDocument document = await JsonDocument.ParseAsync(assets);

        // The others are fallback folders.
        return document.RootElement.GetProperty("packageFolders").EnumerateObject().First().Name;
    }

    /// <summary>Gives a project of another copy what the restore of these sources has written, instead of restoring once more.</summary>
    internal static void CopyRestored(string sources, string target, string project)
    {
        string restored = Directory.CreateDirectory(Path.Combine(target, project, "obj")).FullName;
        foreach (string file in Directory.EnumerateFiles(Path.Combine(sources, project, "obj")))
        {
            File.Copy(file, Path.Combine(restored, Path.GetFileName(file)));
        }
    }

    /// <summary>Makes it a repository with one commit, a tag, and an address.</summary>
    internal static async Task InitializeAsync(string folder, string url, string tag)
    {
        await GitAsync(folder, "init", "--quiet", "--initial-branch=main");
        await GitAsync(folder, "remote", "add", "origin", url);
        await GitAsync(folder, "add", "--all");
        await GitAsync(folder, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message=Packed");
        await GitAsync(folder, "tag", tag);
    }

    internal static async Task<string> GitAsync(string folder, params string[] arguments)
    {
        string? git = Tool.Find("git");
        Assert.SkipWhen(git is null, "There is no git here.");
        Dictionary<string, string?> environment = new()
        {
            ["GIT_CONFIG_GLOBAL"] = "/dev/null",
            ["GIT_CONFIG_NOSYSTEM"] = "1",
            ["GIT_AUTHOR_NAME"] = "test",
            ["GIT_AUTHOR_EMAIL"] = "test@localhost",
            ["GIT_COMMITTER_NAME"] = "test",
            ["GIT_COMMITTER_EMAIL"] = "test@localhost",
            ["GIT_DIR"] = null,
            ["GIT_WORK_TREE"] = null,
            ["GIT_INDEX_FILE"] = null,
        };
        ToolResult result = await Tool.RunAsync(Tool.Describe(git!, folder, environment, arguments));
        Assert.True(result.IsSuccess, $"{result.CommandLine}\n{result.Output}");
        return result.Output.Trim();
    }
}
