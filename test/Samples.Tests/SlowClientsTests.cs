namespace KestrelNetpoll.Samples.Tests;

[Collection(nameof(Alone))]
public sealed class SlowClientsTests
{
    [Fact]
    public async Task Attackers_leave_and_are_counted()
    {
        // The normal client must not be taken for an attacker when the machine has stood still for a moment.
        await using SampleProcess server = SampleProcess.Start("SlowClients", "--port", "0", "--limit", "1.5");
        string address = await server.FindAsync(@"^With limits, 1\.5 s: (\S+)$");

        (int exitCode, string output) = await SampleProcess.RunAsync("SlowClients", "--attack", address, "--attackers", "2", "--seconds", "30");

        Assert.True(exitCode == 0, output);
        string counters = output[output.IndexOf("and now:", StringComparison.Ordinal)..];
        foreach (string counter in (string[])["FirstByteTimeouts", "ReadIdleTimeouts", "WriteStallTimeouts", "MaxConnectionAgesReached"])
        {
            Assert.Matches($@"(?m)^{counter} +([2-9]|\d\d+)$", counters);
        }

        using var client = new HttpClient();
        Assert.Equal("Hello, World!\n", await client.GetStringAsync(await server.FindAsync(@"^Without: (\S+)$")));
    }
}
