using KestrelNetpoll.Packages.Tests.Infrastructure;

namespace KestrelNetpoll.Packages.Tests;

/// <summary>`dotnet new web`, `dotnet add package KestrelNetpoll.Transport`, and one line: that, built and published.</summary>
[Collection(PackedLibraries.Collection)]
public class NewWebAppTests(PackedLibraries packages, ITestOutputHelper log)
{
    private const string Answer = "Hello World!";
    private const string ServedByNetpoll = "is served by netpoll";

    [Fact]
    public async Task A_new_web_app_answers_on_netpoll_with_code_that_was_compiled_before()
    {
        string app = await packages.CopyWebAppAsync("built");
        DotnetSdk sdk = await packages.GetUserSdkAsync();
        ToolResult build = await sdk.RunAsync(app, "build", "-c", "Release");
        AssertNoWarning(build);

        using WebAppProcess server = WebAppProcess.Start(sdk.Program, Path.Combine(app, "bin/Release/net10.0/app.dll"));

        Assert.Equal(Answer, await server.AskAsync());
        Assert.Contains(ServedByNetpoll, server.Output, StringComparison.Ordinal);
        string compiled = $"/runtimes/{PackedLibraries.RuntimeIdentifier}/lib/net10.0";
        Assert.Contains($"{compiled}/KestrelNetpoll.Transport.dll", server.Maps, StringComparison.Ordinal);
        Assert.Contains($"{compiled}/KestrelNetpoll.Native.dll", server.Maps, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task It_is_published_trimmed_as_one_file_without_a_warning_and_answers_on_netpoll()
    {
        LongTests.SkipUnlessWanted();
        string published = await PublishAsync("trimmed", "--self-contained", "-p:PublishTrimmed=true", "-p:PublishSingleFile=true");

        Assert.Empty(Directory.GetFiles(published, "*.dll"));
        await AssertAnswersAsync(published);
    }

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task It_is_published_as_native_code_without_a_warning_and_answers_on_netpoll()
    {
        LongTests.SkipUnlessWanted();
        string[] missing = [.. new[] { "clang", "ld", "objcopy" }.Where(static tool => Tool.Find(tool) is null)];
        Assert.SkipUnless(missing.Length == 0, $"Native AOT needs clang and binutils; not found here: {string.Join(", ", missing)}.");
        string published = await PublishAsync("native", "-p:PublishAot=true");

        Assert.Empty(Directory.GetFiles(published, "*.dll"));
        await AssertAnswersAsync(published);
    }

    private async Task<string> PublishAsync(string name, params string[] options)
    {
        string runtime = PackedLibraries.RuntimeIdentifier;
        string app = await packages.CopyWebAppAsync(name);
        DotnetSdk sdk = await packages.GetUserSdkAsync();
        ToolResult publish = await sdk.RunAsync(
            app, ["publish", "-c", "Release", "-r", runtime, "-o", "published", "-p:TrimmerSingleWarn=false", .. options]);
        AssertNoWarning(publish);
        return Path.Combine(app, "published");
    }

    private async Task AssertAnswersAsync(string published)
    {
        string program = Path.Combine(published, "app");
        using WebAppProcess server = WebAppProcess.Start(program);

        Assert.Equal(Answer, await server.AskAsync());
        Assert.Contains(ServedByNetpoll, server.Output, StringComparison.Ordinal);
        log.WriteLine($"{new FileInfo(program).Length / 1e6:F1} MB, first answer after {server.StartTime.TotalMilliseconds:F0} ms");
    }

    private static void AssertNoWarning(ToolResult build) => Assert.DoesNotContain(
        build.Lines,
        static line => line.Contains("warning", StringComparison.OrdinalIgnoreCase)
            && line.Contains("KestrelNetpoll", StringComparison.Ordinal));
}
