using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>The programs in the README of KestrelNetpoll.Native, as they stand there, with the package.</summary>
[Collection(PackedLibraries.Collection)]
public class NativeReadmeTests(PackedLibraries packages)
{
    [Fact]
    public async Task The_program_with_a_FIFO_prints_what_went_through_it() =>
        Assert.Equal("order 1", await RunAsync(ReadmePrograms.Fifo));

    [Fact]
    public async Task The_program_with_a_terminal_prints_the_name_that_its_child_sees()
    {
        Assert.SkipWhen(Tool.Find("setsid") is null, "There is no setsid here.");

        Assert.Matches(@"^The child's terminal is /dev/pts/\d+$", await RunAsync(ReadmePrograms.Terminal));
    }

    [Fact]
    public async Task The_program_with_a_tun_device_answers_a_packet()
    {
        string? unshare = Tool.Find("unshare");
        Assert.SkipUnless(unshare is not null && Tool.Find("ip") is not null, "There is no unshare, or no ip, here.");
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "There is no /dev/net/tun here.");
        ToolResult probe = await Tool.RunAsync(Tool.Describe(unshare!, "/", new Dictionary<string, string?>(), "--net", "true"));
        Assert.SkipUnless(probe.IsSuccess, $"A network namespace needs CAP_SYS_ADMIN: {probe.Output.Trim()}");

        Assert.Equal("The network says: hello", await RunAsync(ReadmePrograms.Tun, unshare!, "--net"));
    }

    private async Task<string> RunAsync(string name, params string[] prefix)
    {
        string folder = await packages.GetReadmeProgramsAsync();
        string[] command = [.. prefix, DotnetSdk.Find().Program, $"{name}/bin/Release/net10.0/{name}.dll"];
        ToolResult result = await Tool.RunAsync(Tool.Describe(command[0], folder, new Dictionary<string, string?>(), command.AsSpan(1)));
        Assert.True(result.IsSuccess, result.Output);
        return result.Output.Trim();
    }
}
