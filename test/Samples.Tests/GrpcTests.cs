namespace KestrelNetpoll.Samples.Tests;

public sealed class GrpcTests
{
    [Fact]
    public async Task It_answers_once_and_again_and_again()
    {
        await using SampleProcess server = SampleProcess.Start("Grpc", "--urls", "http://127.0.0.1:0");
        string address = await server.FindAsync(@"^Transport: netpoll .* Listening on (\S+)$");

        (int exitCode, string output) = await SampleProcess.RunAsync("Grpc", "--call", address, "--name", "Test");

        Assert.Equal((0, "Hello, Test!\n1 for Test\n2 for Test\n3 for Test"), (exitCode, output));
    }
}
