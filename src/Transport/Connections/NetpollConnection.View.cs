namespace KestrelNetpoll.Transport.Connections;

/// <summary>What whoever looks at the connections gets to see of this one. Nothing is noted for that beforehand.</summary>
internal sealed partial class NetpollConnection
{
    internal override ConnectionView View => new(
        this,
        LookAtPhase(),
        LookAtWait(),
        _reader.BytesReceived,
        _writer.BytesSent,
        _writer.QueuedBytes,
        _reader.Deadline,
        _writer.Deadline);

    private ConnectionPhase LookAtPhase() =>
        IsClosed || Volatile.Read(ref _disposeStarted) != 0 ? ConnectionPhase.Ending
        : _reader.HasBegun ? ConnectionPhase.Open
        : ConnectionPhase.New;

    // The output first: of HTTP/2, a read waits nearly always.
    private ConnectionWait LookAtWait() =>
        _writer.IsParked || _writer.IsFlushWaiting ? ConnectionWait.Output
        : _reader.IsReadWaiting ? ConnectionWait.Input
        : _reader.IsReadScheduled ? ConnectionWait.Worker
        : ConnectionWait.Application;
}
