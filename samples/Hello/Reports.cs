using System.Text.Json.Serialization;
using KestrelNetpoll.Transport;

namespace Hello;

internal sealed record Greeting(string Message);

internal sealed record Digest(long Length, string Sha256);

internal sealed record TransportReport(string Transport, string? Backend, int? Workers, NetpollTransportStatistics? Counters);

/// <summary>How they become JSON, worked out by the compiler: in a trimmed or AOT-compiled program nothing can work it out later.</summary>
[JsonSerializable(typeof(Greeting))]
[JsonSerializable(typeof(Digest))]
[JsonSerializable(typeof(TransportReport))]
internal sealed partial class ReportsJson : JsonSerializerContext;
