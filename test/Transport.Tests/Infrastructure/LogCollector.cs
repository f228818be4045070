using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

internal sealed record LogEntry(string Category, LogLevel Level, EventId Id, string Message, Exception? Exception);

/// <summary>Keeps everything that is logged, from Debug up.</summary>
internal sealed class LogCollector : ILoggerProvider, ILoggerFactory
{
    internal const string Netpoll = "KestrelNetpoll.Transport";
    internal const string Sockets = "Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets";

    private readonly ConcurrentQueue<LogEntry> _entries = new();

    internal IReadOnlyCollection<LogEntry> Entries => _entries;

    internal static string TransportCategory(TransportKind kind) => kind == TransportKind.Netpoll ? Netpoll : Sockets;

    internal IEnumerable<LogEntry> Of(TransportKind kind, int id) =>
        _entries.Where(entry => entry.Category == TransportCategory(kind) && entry.Id.Id == id);

    /// <summary>Without the warnings that Kestrel's heartbeat is late, and that a turn takes long, which may say something of the machine
    /// and nothing of the server.</summary>
    internal IEnumerable<LogEntry> Above(LogLevel level) =>
        _entries.Where(entry => entry.Level > level && entry.Id.Name is not ("HeartbeatSlow" or "BlockedTurn"));

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _entries);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<LogEntry> entries) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                entries.Enqueue(new LogEntry(category, logLevel, eventId, formatter(state, exception), exception));
            }
        }
    }
}
