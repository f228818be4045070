namespace KestrelNetpoll.Samples.Tests;

public sealed class SampleProcessTests
{
    [Fact]
    public async Task What_is_printed_last_is_found_though_the_process_has_ended()
    {
        // As much as a pipe holds: it has ended long before all that is read.
        await using SampleProcess process = SampleProcess.StartByShell("yes | head -n 30000; echo the end", [], "Hello");

        Assert.Equal("end", await process.FindAsync("^the (end)$"));
    }
}
