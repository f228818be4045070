using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>The version comes from the tags of the repository, if there are any, and if there is one.</summary>
[Collection(PackedLibraries.Collection)]
public class VersionTests(PackedLibraries packages)
{
    private const string Project = "src/Native/KestrelNetpoll.Native.csproj";
    private const string PreRelease = @"^\d+\.\d+\.0-alpha\.0";

    [Fact]
    public async Task Without_a_tag_it_is_a_prerelease_with_the_number_of_commits()
    {
        await packages.PackedAsync();
        using TemporaryFolder folder = new();
        await Repository.GitAsync(folder.Path, "clone", "--quiet", "--no-tags", packages.Sources, "clone");
        string clone = Path.Combine(folder.Path, "clone");
        await Repository.GitAsync(clone, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "--message=Another");
        Repository.CopyRestored(packages.Sources, clone, "src/Native");

        Assert.Matches(PreRelease + @"\.1$", await GetVersionAsync(DotnetSdk.Find(), clone));
    }

    [Fact]
    public async Task Without_git_it_is_a_prerelease()
    {
        await packages.PackedAsync();

        // With git it is the tag's, as the packages show.
        Assert.Matches(PreRelease + "$", await GetVersionAsync(DotnetSdk.Find().With("PATH", "/nowhere"), packages.Sources));
    }

    private static async Task<string> GetVersionAsync(DotnetSdk sdk, string sources)
    {
        ToolResult result = await sdk.RunAsync(sources, "msbuild", Project, "-t:_GetProjectVersion", "-getProperty:PackageVersion");
        return result.Output.Trim();
    }
}
