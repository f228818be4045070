using KestrelNetpoll.Transport;

namespace Hello;

internal sealed record Greeting(string Message);

internal sealed record Digest(long Length, string Sha256);

internal sealed record TransportReport(string Transport, string? Backend, int? Workers, NetpollTransportStatistics? Counters);
