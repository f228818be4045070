using System.IO.Compression;
using System.Text;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

internal static class ZipArchiveExtensions
{
    internal static byte[] Read(this ZipArchive archive, string name)
    {
        ZipArchiveEntry? entry = archive.GetEntry(name);
        Assert.True(entry is not null, $"There is no {name} in the package.");
        using Stream stream = entry!.Open();
        using MemoryStream content = new();
        stream.CopyTo(content);
        return content.ToArray();
    }

    internal static string ReadText(this ZipArchive archive, string name)
    {
        using StreamReader reader = new(new MemoryStream(archive.Read(name)), Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
