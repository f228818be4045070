using Npgsql;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>A page made of a table in PostgreSQL, at <c>--database CONNECTION</c>: a query, a sort, a template that encodes.</summary>
internal static class Fortunes
{
    internal const string Option = "database";

    internal static void AddServices(WebApplicationBuilder builder)
    {
        string connection =
            builder.Configuration[Option] ?? throw new FormatException($"This application needs --{Option} CONNECTION.");
        builder.Services.AddRazorPages();
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(connection));
    }

    internal static async Task<List<Fortune>> ReadAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = database.CreateCommand("SELECT id, message FROM fortune");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        List<Fortune> fortunes = [];
        while (await reader.ReadAsync(cancellationToken))
        {
            fortunes.Add(new Fortune(reader.GetInt32(0), reader.GetString(1)));
        }

        return fortunes;
    }
}

/// <summary>A row of the table.</summary>
public sealed record Fortune(int Id, string Message);
