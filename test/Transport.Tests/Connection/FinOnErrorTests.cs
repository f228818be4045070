using KestrelNetpoll.Transport.Internal;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Connection;

// The switch is a property of the process.
[Collection(nameof(Alone))]
public class FinOnErrorTests
{
    private const string Switch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    [Fact]
    public async Task The_switch_turns_the_RST_of_an_abort_into_FIN()
    {
        AppContext.SetSwitch(Switch, true);
        try
        {
            await using TransportHarness harness = await TransportHarness.StartAsync();
            (NetpollConnection connection, RawClient client) = await harness.ConnectAsync();

            connection.Abort(new ConnectionAbortedException("because"));

            Assert.Equal(PeerEnd.Fin, (await client.ReadToEndAsync()).End);
            Assert.Single(harness.Logs.Of(TransportKind.Netpoll, 7));
            Assert.Empty(harness.Logs.Of(TransportKind.Netpoll, 8));
            await connection.DisposeAsync().InTime();
            client.Dispose();
        }
        finally
        {
            AppContext.SetSwitch(Switch, false);
        }
    }
}
