using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Runs a theory on each transport with HTTP/1.1 and with HTTP/2.</summary>
public sealed class TransportsAndVersions : TheoryData<TransportKind, string>
{
    public TransportsAndVersions()
    {
        foreach (TransportKind kind in Enum.GetValues<TransportKind>())
        {
            Add(kind, "1.1");
            Add(kind, "2.0");
        }
    }
}
