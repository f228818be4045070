using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>Where Tmds.LibC may be named: other systems have no such assembly, and other code would have to be changed for them.</summary>
[OneMode]
public sealed class TmdsLibCPlaceTests
{
    private const string Place = "src/Native/Interop/Linux/";

    [Fact]
    public void Only_the_folder_for_Linux_names_it()
    {
        string[] naming =
        [
            .. Repository.FilesOf(".cs", "src").Where(static file => Repository.LinesOf(file).Any(
                static line => line.Contains("Tmds", StringComparison.Ordinal))),
        ];

        Assert.NotEmpty(naming);
        Assert.DoesNotContain(naming, static file => !file.StartsWith(Place, StringComparison.Ordinal));
    }
}
