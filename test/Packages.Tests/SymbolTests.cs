using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>What a debugger finds: the right symbols, and in them the way to the sources.</summary>
[Collection(PackedLibraries.Collection)]
public class SymbolTests(PackedLibraries packages)
{
    private static readonly Guid SourceLink = new("CC110556-A091-4D38-9FEC-25AB9A351A6A");

    [Theory]
    [InlineData("KestrelNetpoll.Native")]
    [InlineData("KestrelNetpoll.Transport")]
    public async Task The_symbols_are_those_of_every_assembly_in_the_package(string id)
    {
        await packages.PackedAsync();
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "nupkg"));
        using MetadataReaderProvider symbols = OpenSymbols(id);
        Guid symbolId = new BlobContentId(symbols.GetMetadataReader().DebugMetadataHeader!.Id).Guid;

        foreach (ZipArchiveEntry assembly in package.Entries.Where(static entry => entry.Name.EndsWith(".dll", StringComparison.Ordinal)))
        {
            using PEReader image = new(new MemoryStream(package.Read(assembly.FullName)));
            DebugDirectoryEntry entry = Assert.Single(image.ReadDebugDirectory(), static entry => entry.IsPortableCodeView);
            Assert.Equal(symbolId, image.ReadCodeViewDebugDirectoryData(entry).Guid);
        }
    }

    [Theory]
    [InlineData("KestrelNetpoll.Native")]
    [InlineData("KestrelNetpoll.Transport")]
    public async Task Source_Link_leads_from_every_source_to_the_commit_that_was_packed(string id)
    {
        await packages.PackedAsync();
        string commit = await Repository.GitAsync(packages.Sources, "rev-parse", "HEAD");
        using MetadataReaderProvider symbols = OpenSymbols(id);
        MetadataReader reader = symbols.GetMetadataReader();

        byte[] link = Assert.Single(
            reader.CustomDebugInformation
                .Select(reader.GetCustomDebugInformation)
                .Where(information => reader.GetGuid(information.Kind) == SourceLink)
                .Select(information => reader.GetBlobBytes(information.Value)));
        string address = PackedLibraries.RepositoryUrl.Replace("github.com", "raw.githubusercontent.com", StringComparison.Ordinal);
        Assert.Equal($$$"""{"documents":{"/_/*":"{{{address}}}/{{{commit}}}/*"}}""", Encoding.UTF8.GetString(link));
        Assert.All(
            reader.Documents.Select(document => reader.GetString(reader.GetDocument(document).Name)),
            static name => Assert.StartsWith("/_/", name, StringComparison.Ordinal));
    }

    private MetadataReaderProvider OpenSymbols(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "snupkg"));
        return MetadataReaderProvider.FromPortablePdbStream(new MemoryStream(package.Read($"lib/net10.0/{id}.pdb")));
    }
}
