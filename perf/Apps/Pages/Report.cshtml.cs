using Microsoft.AspNetCore.Mvc.RazorPages;

namespace KestrelNetpoll.Perf.Apps.Pages;

/// <summary>A page with a table, encoded as Razor does. Public, or Razor does not find it.</summary>
public sealed class ReportModel : PageModel
{
    private const int RowCount = 20;

    public string Title => "Sales & returns";

    public IReadOnlyList<(string Name, int Amount)> Rows { get; private set; } = [];

    public void OnGet() => Rows = [.. Enumerable.Range(1, RowCount).Select(static i => ($"Item <{i}>", i * i))];
}
