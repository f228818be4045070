namespace KestrelNetpoll.Perf.Compare.Load;

internal enum LoadProtocol
{
    Http1,
    Http2,
    WebSocket,
    ServerSentEvents,
    Echo,
}

/// <summary>What load is wanted, whatever makes it.</summary>
internal sealed record LoadRequest
{
    internal required LoadProtocol Protocol { get; init; }

    /// <summary>Gets the address, an IPv4 one, and the port; of a Unix socket only the path matters.</summary>
    internal required string Host { get; init; }

    internal int Port { get; init; }

    internal string? UnixPath { get; init; }

    internal bool IsTls { get; init; }

    internal string Path { get; init; } = "/plaintext";

    internal required int Connections { get; init; }

    internal required double Seconds { get; init; }

    /// <summary>Gets how many threads make the load, where the generator lets one choose.</summary>
    internal int Threads { get; init; } = 1;

    /// <summary>Gets how many requests are under way on one connection.</summary>
    internal int Depth { get; init; } = 1;

    /// <summary>Gets after how many requests a connection is replaced; 0: never.</summary>
    internal int RequestsPerConnection { get; init; }

    /// <summary>Gets from how many addresses the connections come; 0: the system chooses one.</summary>
    internal int Sources { get; init; }

    /// <summary>Gets the size of the requests' bodies; 0: none.</summary>
    internal long UploadBytes { get; init; }

    /// <summary>Gets the body of each request, which makes it a POST; null: none.</summary>
    internal byte[]? Body { get; init; }

    /// <summary>Gets fields that each request has beside those that every one needs.</summary>
    internal IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>Gets the size of each answer's body, where a failure would not show in its status; null: it would.</summary>
    internal int? AnswerBytes { get; init; }

    internal string Authority => FormattableString.Invariant($"{Host}:{Port}");

    internal string Url => $"{(IsTls ? "https" : "http")}://{Authority}{Path}";

    /// <summary>Gets whether it is a plain GET, as far as the request itself goes.</summary>
    internal bool IsPlain => Body is null && Headers.Count == 0;

    /// <summary>Gets whether any HTTP load generator can do it.</summary>
    internal bool IsOrdinary =>
        Protocol == LoadProtocol.Http1 && UnixPath is null && RequestsPerConnection == 0 && Sources == 0 && UploadBytes == 0;
}
