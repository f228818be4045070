using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>Sources that are no repository, as an archive has them, or a container's build.</summary>
public class ReproducibilityTests
{
    [Fact]
    [Trait("Speed", "Slow")]
    public async Task The_same_sources_give_the_same_bytes_wherever_they_are()
    {
        LongTests.SkipUnlessWanted();
        using TemporaryFolder folder = new();
        DotnetSdk sdk = DotnetSdk.Find().With("SOURCE_DATE_EPOCH", "1700000000");
        string[] packed = [await PackAsync("here"), await PackAsync("over/there")];

        Assert.Matches(@"^KestrelNetpoll\.Native\.\d+\.\d+\.0-alpha\.0\.nupkg$", Path.GetFileName(packed[0]));
        Assert.Equal(Path.GetFileName(packed[0]), Path.GetFileName(packed[1]));
        Assert.Equal(await File.ReadAllBytesAsync(packed[0]), await File.ReadAllBytesAsync(packed[1]));

        async Task<string> PackAsync(string name)
        {
            string sources = folder.Folder($"{name}/sources");
            Repository.CopyTo(sources);
            await sdk.RunAsync(
                sources, "pack", "src/Native", "-c", "Release", "-o", "../packed", "-p:CompileReadyToRun=false", "-p:RunAnalyzers=false");
            return Assert.Single(Directory.GetFiles(folder.Folder($"{name}/packed"), "*.nupkg"));
        }
    }
}
