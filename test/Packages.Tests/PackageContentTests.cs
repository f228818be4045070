using System.IO.Compression;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;
using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>What is in the packages, and what they say about themselves.</summary>
[Collection(PackedLibraries.Collection)]
public class PackageContentTests(PackedLibraries packages)
{
    // What the architecture's number is combined with in an image that is compiled for Linux (ReadyToRun format).
    private const ushort ImageForLinux = 0x7B79;

    [Theory]
    [InlineData("KestrelNetpoll.Native")]
    [InlineData("KestrelNetpoll.Transport")]
    public async Task A_package_has_what_it_is_made_of_and_nothing_else(string id)
    {
        await packages.PackedAsync();
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "nupkg"));
        using ZipArchive symbols = ZipFile.OpenRead(packages.Package(id, "snupkg"));

        Assert.Equal(
            [
                "LICENSE", "README.md", "icon.png", $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml",
                $"runtimes/linux-arm64/lib/net10.0/{id}.dll", $"runtimes/linux-x64/lib/net10.0/{id}.dll",
            ],
            FilesOf(package));
        Assert.Equal([$"lib/net10.0/{id}.pdb"], FilesOf(symbols));
    }

    [Theory]
    [InlineData("KestrelNetpoll.Native")]
    [InlineData("KestrelNetpoll.Transport")]
    public async Task A_package_says_what_it_is_and_where_it_comes_from(string id)
    {
        await packages.PackedAsync();
        string commit = await Repository.GitAsync(packages.Sources, "rev-parse", "HEAD");
        Dictionary<string, XElement> said = MetadataOf(id).Elements().ToDictionary(static element => element.Name.LocalName);

        Assert.Equal(id, said["id"].Value);
        Assert.Equal(packages.Version, said["version"].Value);
        Assert.Equal("MIT", said["license"].Value);
        Assert.Equal("expression", (string?)said["license"].Attribute("type"));
        Assert.Equal("README.md", said["readme"].Value);
        Assert.Equal("icon.png", said["icon"].Value);
        Assert.NotEmpty(said["description"].Value);
        Assert.Contains("epoll", said["tags"].Value.Split(' '));
        Assert.Equal(PackedLibraries.RepositoryUrl, said["projectUrl"].Value);
        Assert.Equal($"{PackedLibraries.RepositoryUrl}/blob/{commit}/CHANGELOG.md", said["releaseNotes"].Value);
        Assert.Equal("git", (string?)said["repository"].Attribute("type"));
        Assert.Equal(PackedLibraries.RepositoryUrl, (string?)said["repository"].Attribute("url"));
        Assert.Equal(commit, (string?)said["repository"].Attribute("commit"));
    }

    [Fact]
    public async Task The_transport_depends_on_exactly_its_own_version_of_the_engine()
    {
        await packages.PackedAsync();

        Assert.Equal([("KestrelNetpoll.Native", $"[{packages.Version}]")], DependenciesOf("KestrelNetpoll.Transport"));
    }

    [Fact]
    public async Task The_engine_depends_on_the_declarations_of_the_C_library_and_nothing_else()
    {
        await packages.PackedAsync();

        Assert.Equal(["Tmds.LibC"], DependenciesOf("KestrelNetpoll.Native").Select(static dependency => dependency.Id));
    }

    [Theory]
    [InlineData("KestrelNetpoll.Native", "linux-x64", Machine.Amd64)]
    [InlineData("KestrelNetpoll.Native", "linux-arm64", Machine.Arm64)]
    [InlineData("KestrelNetpoll.Transport", "linux-x64", Machine.Amd64)]
    [InlineData("KestrelNetpoll.Transport", "linux-arm64", Machine.Arm64)]
    public async Task Code_for_a_machine_is_compiled_for_it_beside_the_portable_assembly(string id, string runtime, Machine machine)
    {
        await packages.PackedAsync();
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "nupkg"));
        using PEReader image = new(new MemoryStream(package.Read($"runtimes/{runtime}/lib/net10.0/{id}.dll")));
        using PEReader portable = new(new MemoryStream(package.Read($"lib/net10.0/{id}.dll")));

        Assert.Equal((ushort)machine ^ ImageForLinux, (ushort)image.PEHeaders.CoffHeader.Machine);
        Assert.NotEqual(0, image.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size);
        Assert.Equal(0, portable.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size);
    }

    private XElement MetadataOf(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "nupkg"));
        XElement said = XDocument.Parse(package.ReadText($"{id}.nuspec")).Root!;
        return said.Elements().Single(static element => element.Name.LocalName == "metadata");
    }

    private IEnumerable<(string Id, string Version)> DependenciesOf(string id) =>
        MetadataOf(id).Descendants()
            .Where(static element => element.Name.LocalName == "dependency")
            .Select(static dependency => ((string)dependency.Attribute("id")!, (string)dependency.Attribute("version")!));

    // Without what the format itself asks for.
    private static IEnumerable<string> FilesOf(ZipArchive package) =>
        package.Entries
            .Select(static entry => entry.FullName)
            .Where(static name => name is not "[Content_Types].xml" && !name.EndsWith(".nuspec", StringComparison.Ordinal))
            .Where(static name => name.Split('/')[0] is not ("_rels" or "package"))
            .Order(StringComparer.Ordinal);
}
