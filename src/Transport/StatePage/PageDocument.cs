using System.Security.Cryptography;
using System.Text;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>
/// The page, which is the same for everybody: it has no value of the server in it, and its script puts those that it fetches into text
/// nodes. The policy lets nothing else in it run, nor anything be loaded from elsewhere.
/// </summary>
internal sealed class PageDocument
{
    private const string StyleMark = "/*style*/";
    private const string ScriptMark = "/*script*/";

    internal PageDocument()
    {
        string style = ReadResource("page.css");
        string script = ReadResource("page.js");
        Html = Encoding.UTF8.GetBytes(
            ReadResource("page.html")
                .Replace(StyleMark, style, StringComparison.Ordinal)
                .Replace(ScriptMark, script, StringComparison.Ordinal));
        ContentSecurityPolicy =
            $"default-src 'none'; script-src '{HashOf(script)}'; style-src '{HashOf(style)}'; connect-src 'self'; img-src data:; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    }

    internal ReadOnlyMemory<byte> Html { get; }

    internal string ContentSecurityPolicy { get; }

    private static string HashOf(string text) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    private static string ReadResource(string name)
    {
        Type own = typeof(PageDocument);
        using Stream stream = own.Assembly.GetManifestResourceStream($"{own.Namespace}.{name}")
            ?? throw new InvalidOperationException($"The assembly has no resource {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
