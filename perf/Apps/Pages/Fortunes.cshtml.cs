using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.RazorPages;
using Npgsql;

namespace KestrelNetpoll.Perf.Apps.Pages;

/// <summary>The rows of the database and one that is added, sorted by their text.</summary>
public sealed class FortunesModel : PageModel
{
    public IReadOnlyList<Fortune> Rows { get; private set; } = [];

    public async Task OnGetAsync([FromServices] NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        List<Fortune> rows = await Apps.Fortunes.ReadAsync(database, cancellationToken);
        rows.Add(new Fortune(0, "What is added at the time of the request."));
        rows.Sort(static (one, other) => string.CompareOrdinal(one.Message, other.Message));
        Rows = rows;
    }
}
