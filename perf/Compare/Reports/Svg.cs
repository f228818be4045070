using System.Globalization;
using System.Security;
using System.Text;

namespace KestrelNetpoll.Perf.Compare.Reports;

internal enum Anchor
{
    Start,
    Middle,
    End,
}

/// <summary>Draws a picture of lines, boxes and text.</summary>
internal sealed class Svg
{
    internal const string Ink = "#24292f";
    internal const string Faint = "#d8dee4";

    private static readonly Dictionary<string, string> LegColors = new()
    {
        ["sockets"] = "#8b949e",
        ["netpoll"] = "#1f6feb",
        ["sockets-inline"] = "#d4872c",
        ["c-epoll"] = "#2da44e",
    };

    private readonly StringBuilder _text = new();

    internal Svg(double width, double height)
    {
        Add(
            $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:0} {height:0}" """,
            $"""width="{width:0}" height="{height:0}" font-family="sans-serif" font-size="12">""");

        // Readable also where the page is dark.
        Box(0, 0, width, height, "#ffffff");
    }

    internal static string Color(string leg) => LegColors.GetValueOrDefault(leg, "#a475f9");

    internal void Box(double x, double y, double width, double height, string fill) =>
        Add($"""<rect x="{x:0.##}" y="{y:0.##}" width="{width:0.##}" height="{height:0.##}" fill="{fill}"/>""");

    internal void Line(double x1, double y1, double x2, double y2, string stroke, double width = 1) =>
        Add($"""<line x1="{x1:0.##}" y1="{y1:0.##}" x2="{x2:0.##}" y2="{y2:0.##}" stroke="{stroke}" stroke-width="{width:0.##}"/>""");

    internal void Curve(IEnumerable<(double X, double Y)> points, string stroke) =>
        Add($"""<polyline points="{Join(points)}" fill="none" stroke="{stroke}" stroke-width="2"/>""");

    internal void Area(IEnumerable<(double X, double Y)> points, string fill) =>
        Add($"""<polygon points="{Join(points)}" fill="{fill}" fill-opacity="0.15"/>""");

    internal void Dot(double x, double y, string fill) => Add($"""<circle cx="{x:0.##}" cy="{y:0.##}" r="3" fill="{fill}"/>""");

    internal void Text(double x, double y, string text, Anchor anchor = Anchor.Start, bool isBold = false)
    {
        string position = anchor switch { Anchor.Start => "start", Anchor.Middle => "middle", _ => "end" };
        string weight = isBold ? "bold" : "normal";
        Add(
            $"""<text x="{x:0.##}" y="{y:0.##}" text-anchor="{position}" fill="{Ink}" font-weight="{weight}">""",
            $"{SecurityElement.Escape(text)}</text>");
    }

    /// <summary>The colours of the legs, in a row.</summary>
    internal void Legend(double x, double y, IEnumerable<string> legs)
    {
        const double box = 10;
        const double step = 120;
        foreach (string leg in legs)
        {
            Box(x, y - box, box, box, Color(leg));
            Text(x + box + 5, y, leg);
            x += step;
        }
    }

    public override string ToString() => _text + "</svg>\n";

    private static string Join(IEnumerable<(double X, double Y)> points) =>
        string.Join(' ', points.Select(static point => FormattableString.Invariant($"{point.X:0.##},{point.Y:0.##}")));

    private void Add(params FormattableString[] parts)
    {
        foreach (FormattableString part in parts)
        {
            _text.Append(part.ToString(CultureInfo.InvariantCulture));
        }

        _text.Append('\n');
    }
}
