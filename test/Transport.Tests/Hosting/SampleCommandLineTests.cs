using System.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scale;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>The sample is what people try first.</summary>
[OneMode]
public sealed class SampleCommandLineTests
{
    [Theory]
    [InlineData(0, "Usage: Hello [options]", "--help")]
    [InlineData(0, "Usage: Hello [options]", "--transport", "netpoll", "-h")]
    [InlineData(2, "There is no option --trasnport.", "--trasnport", "sockets")]
    [InlineData(2, "There is no option --url.", "--url=http://127.0.0.1:0")]
    [InlineData(2, "'sockets' is no option.", "sockets")]
    [InlineData(2, "--urls needs a value.", "--urls")]
    [InlineData(2, "--transport is 'quic'; it must be netpoll or sockets.", "--transport", "quic")]
    public async Task It_answers_help_and_refuses_what_it_does_not_know(int exitCode, string line, params string[] arguments)
    {
        string? dotnet = ServerProcess.FindDotnet();
        Assert.SkipUnless(dotnet is not null, "The dotnet host is not beside the runtime of this process.");
        ProcessStartInfo start = new(dotnet, [ServerProcess.Dll, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().InTime();

            Assert.Equal(exitCode, process.ExitCode);
            Assert.Contains(line, (await output + await errors).Split('\n'));
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
