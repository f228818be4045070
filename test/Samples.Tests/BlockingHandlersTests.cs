namespace KestrelNetpoll.Samples.Tests;

public sealed class BlockingHandlersTests
{
    [Fact]
    public async Task It_prints_what_clients_of_both_transports_have_seen()
    {
        (int exitCode, string output) = await SampleProcess.RunAsync("BlockingHandlers", "--blocking", "8", "--seconds", "0.3");

        Assert.Equal(0, exitCode);
        Assert.Matches(@"(?m)^8 clients ask a route that blocks", output);
        Assert.Matches(@"(?m)^sockets +\d+ +[\d,.]+ ms +[\d,.]+ ms +\d+ +\d+$", output);
        Assert.Matches(@"(?m)^netpoll +\d+ +[\d,.]+ ms +[\d,.]+ ms +\d+ +\d+$", output);
    }
}
