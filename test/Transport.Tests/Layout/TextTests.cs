using System.Text.RegularExpressions;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>What the sources and the documents look like.</summary>
[OneMode]
public partial class TextTests
{
    private const int CodeWidth = 140;
    private const int ProseWidth = 100;

    // Not wrapped yet.
    private static readonly string[] WideCode = ["test/"];
    private static readonly string[] WideProse = [];

    // Written by programs.
    private static readonly string[] Generated = ["perf/results/"];

    [Fact]
    public void No_line_of_code_is_wider_than_140_columns() => Assert.Empty(
        from file in Repository.FilesOf(".cs")
        where !IsIn(WideCode, file)
        from line in TooWide(Repository.LinesOf(file))
        select $"{file}({line})");

    [Fact]
    public void No_line_of_prose_is_wider_than_100_columns() => Assert.Empty(
        from file in Repository.FilesOf(".md")
        where !IsIn(WideProse, file) && !IsIn(Generated, file)
        from line in TooWideProse(Repository.LinesOf(file))
        select $"{file}({line})");

    [Fact]
    public void Every_link_of_a_document_leads_somewhere() => Assert.Empty(
        from file in Repository.FilesOf(".md")
        from target in LinksOf(Repository.LinesOf(file))
        where !Leads(file, target)
        select $"{file}: {target}");

    [Fact]
    public void Rules_about_text_see_what_breaks_them()
    {
        string wide = new('x', 60);
        Assert.Equal([2], TooWide(["", new string('x', CodeWidth + 1), new string('x', CodeWidth)]));
        Assert.Equal([2], TooWideProse([wide, $"{wide} {wide}", $"| {wide} {wide} |", "```", $"{wide} {wide}", "```", wide + wide]));
        Assert.Equal(["a.md", "b/c.md#d", "e.svg"], LinksOf(["[x](a.md) and [y](b/c.md#d)", "![z](e.svg) [w](https://example.org/)"]));
        Assert.True(Leads("README.md", "docs/"));
        Assert.True(Leads("perf/README.md", "../README.md#options"));
        Assert.False(Leads("README.md", "docs/nothing.md"));
        Assert.False(Leads("perf/README.md", "../README.md#no-such-heading"));
    }

    private static bool IsIn(string[] places, string file) =>
        places.Any(place => place.EndsWith('/') ? file.StartsWith(place, StringComparison.Ordinal) : file == place);

    private static IEnumerable<int> TooWide(string[] lines) =>
        lines.Index().Where(static line => line.Item.Length > CodeWidth).Select(static line => line.Index + 1);

    // Tables and code cannot be wrapped, nor can a line of one word, such as a link.
    private static IEnumerable<int> TooWideProse(string[] lines)
    {
        bool isCode = false;
        foreach ((int index, string line) in lines.Index())
        {
            isCode ^= line.TrimStart().StartsWith("```", StringComparison.Ordinal);
            if (!isCode && line.Length > ProseWidth && !line.TrimStart().StartsWith('|') && line.LastIndexOf(' ', ProseWidth) > 2)
            {
                yield return index + 1;
            }
        }
    }

    private static IEnumerable<string> LinksOf(string[] lines)
    {
        bool isCode = false;
        foreach (string line in lines)
        {
            isCode ^= line.TrimStart().StartsWith("```", StringComparison.Ordinal);
            foreach (Match match in isCode ? [] : Link().Matches(line).AsEnumerable())
            {
                yield return match.Groups[1].Value;
            }
        }
    }

    private static bool Leads(string from, string link)
    {
        string[] parts = link.Split('#', 2);
        string target = parts[0].Length == 0
            ? Path.Combine(Repository.Root, from)
            : Path.GetFullPath(Path.Combine(Repository.Root, Path.GetDirectoryName(from)!, Uri.UnescapeDataString(parts[0])));
        return parts.Length == 1 || !target.EndsWith(".md", StringComparison.Ordinal)
            ? Path.Exists(target)
            : File.Exists(target) && HeadingsOf(File.ReadAllLines(target)).Contains(parts[1]);
    }

    // As those who show such documents name them.
    private static IEnumerable<string> HeadingsOf(string[] lines) =>
        from line in lines
        where line.StartsWith('#')
        let text = line.TrimStart('#').Trim().ToLowerInvariant()
        select NoPartOfName().Replace(text, "").Replace(' ', '-');

    [GeneratedRegex(@"\]\((?!\w+:)([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NoPartOfName();
}
