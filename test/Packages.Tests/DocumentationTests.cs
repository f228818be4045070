using System.IO.Compression;
using System.Xml.Linq;
using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>The documentation that an editor shows.</summary>
[Collection(PackedLibraries.Collection)]
public class DocumentationTests(PackedLibraries packages)
{
    private const string File = "KestrelNetpoll.Native.NetpollFile";
    private const string Buffers = "System.Collections.Generic.IReadOnlyList{System.ReadOnlyMemory{System.Byte}}";

    [Fact]
    public async Task Public_members_of_every_kind_are_documented()
    {
        await packages.PackedAsync();
        HashSet<string> native = DocumentedBy("KestrelNetpoll.Native");
        HashSet<string> transport = DocumentedBy("KestrelNetpoll.Transport");

        Assert.Superset(
            new HashSet<string>
            {
                $"T:{File}",
                $"P:{File}.IsPollable",
                $"M:{File}.AsStream",
                $"M:{File}.ReadAsync(System.Memory{{System.Byte}},System.Threading.CancellationToken)",
                $"M:{File}.WriteAsync({Buffers},System.Threading.CancellationToken)",
                $"M:{File}.SetDeadline(System.Nullable{{System.DateTimeOffset}})",
                $"M:{File}.OpenPseudoTerminal({File}@,{File}@)",
                "M:KestrelNetpoll.Native.NotPollableException.#ctor(System.String)",
            },
            native);
        Assert.Superset(
            new HashSet<string>
            {
                "F:KestrelNetpoll.Transport.ApplicationScheduling.Workers",
                "P:KestrelNetpoll.Transport.NetpollTransportOptions.WorkerCount",
            },
            transport);
    }

    [Theory]
    [InlineData("KestrelNetpoll.Native")]
    [InlineData("KestrelNetpoll.Transport")]
    public async Task Internal_types_are_not(string id)
    {
        await packages.PackedAsync();
        IEnumerable<string> types = (await RecordedApi.ReadTypesAsync(packages.Sources, id)).Select(static type => $"T:{type}");

        Assert.Equal(
            types.Order(StringComparer.Ordinal),
            DocumentedBy(id).Where(static name => name.StartsWith("T:", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    private HashSet<string> DocumentedBy(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(packages.Package(id, "nupkg"));
        XDocument documentation = XDocument.Parse(package.ReadText($"lib/net10.0/{id}.xml"));
        return [.. documentation.Descendants("member").Select(static member => (string)member.Attribute("name")!)];
    }
}
