namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>The transport a case runs on. Sockets is the reference: what it does, ours must do.</summary>
public enum TransportKind
{
    Sockets,
    Netpoll,
}

/// <summary>Runs a theory once on each transport.</summary>
public sealed class BothTransports : TheoryData<TransportKind>
{
    public BothTransports()
        : base(TransportKind.Sockets, TransportKind.Netpoll)
    {
    }
}
