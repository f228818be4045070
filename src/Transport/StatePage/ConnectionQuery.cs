using System.Collections.Frozen;
using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>Which connections a report is to list, in which order, and how many.</summary>
/// <param name="Limit">So many at most.</param>
/// <param name="Filter">Has to be part of what is shown of a connection; empty: all.</param>
/// <param name="Sort">The column.</param>
/// <param name="IsDescending">The greatest first.</param>
internal sealed record ConnectionQuery(int Limit, string Filter, string Sort, bool IsDescending)
{
    internal const int DefaultLimit = 100;
    internal const int MaxLimit = 1000;
    internal const int MaxFilterLength = 200;

    /// <summary>The columns, by which one can sort.</summary>
    internal static readonly FrozenSet<string> Columns =
        FrozenSet.ToFrozenSet(["id", "endPoint", "peer", "state", "waitsFor", "age", "received", "sent", "queued", "deadline"]);

    private const string DefaultSort = "-age";

    /// <summary>From <c>?connections=100&amp;filter=text&amp;sort=-age</c>; each may be missing.</summary>
    /// <param name="query">The query string.</param>
    /// <param name="mistake">What is wrong with it, for whoever has written it.</param>
    /// <returns>Null: there is a mistake.</returns>
    internal static ConnectionQuery? Parse(IQueryCollection query, out string? mistake)
    {
        string connections = (string?)query["connections"] ?? "";
        int limit = DefaultLimit;
        if (connections.Length != 0
            && (!int.TryParse(connections, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit > MaxLimit))
        {
            mistake = $"connections is a number from 0 to {MaxLimit}.";
            return null;
        }

        string filter = (string?)query["filter"] ?? "";
        if (filter.Length > MaxFilterLength)
        {
            mistake = $"filter is a text of at most {MaxFilterLength} characters.";
            return null;
        }

        string sort = (string?)query["sort"] is { Length: > 0 } given ? given : DefaultSort;
        bool isDescending = sort.StartsWith('-');
        string column = isDescending ? sort[1..] : sort;
        if (!Columns.Contains(column))
        {
            string columns = string.Join(", ", Columns.Order(StringComparer.Ordinal));
            mistake = $"sort is one of {columns}, with a - in front for the greatest first.";
            return null;
        }

        mistake = null;
        return new ConnectionQuery(limit, filter, column, isDescending);
    }
}
