using System.Diagnostics;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>The SDK beside the runtime of this process, run as a user would.</summary>
internal sealed class DotnetSdk
{
    // What a restore says that reaches no source, or finds no package there.
    private static readonly string[] NothingToRestore = ["NU1101", "NU1102", "NU1103", "NU1301"];

    private readonly Dictionary<string, string?> _environment = new()
    {
        ["DOTNET_NOLOGO"] = "1",
        ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1",
        ["DOTNET_CLI_UI_LANGUAGE"] = "en",
        ["DOTNET_SKIP_FIRST_TIME_EXPERIENCE"] = "1",
        ["DOTNET_GENERATE_ASPNET_CERTIFICATE"] = "false",
        ["NO_COLOR"] = "1",
        ["MSBUILDTERMINALLOGGER"] = "off",
        // No process stays behind.
        ["MSBUILDDISABLENODEREUSE"] = "1",
        ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
        ["UseSharedCompilation"] = "false",
        // What the SDK that runs these tests has told its children about itself.
        ["MSBuildSDKsPath"] = null,
        ["MSBuildExtensionsPath"] = null,
        ["MSBUILD_EXE_PATH"] = null,
        ["MSBuildLoadMicrosoftTargetsReadOnly"] = null,
    };

    private DotnetSdk(string program) => Program = program;

    internal string Program { get; }

    /// <summary>Skips the test where there is no SDK.</summary>
    internal static DotnetSdk Find()
    {
        // shared/Microsoft.NETCore.App/VERSION/System.Private.CoreLib.dll, below the host.
        string root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
        string program = Path.Combine(root, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        Assert.SkipUnless(File.Exists(program) && Directory.Exists(Path.Combine(root, "sdk")), $"There is no .NET SDK in {root}.");
        return new DotnetSdk(program);
    }

    /// <summary>The same, with a variable in its environment.</summary>
    internal DotnetSdk With(string name, string value)
    {
        DotnetSdk sdk = new(Program);
        foreach ((string other, string? otherValue) in _environment)
        {
            sdk._environment[other] = otherValue;
        }

        sdk._environment[name] = value;
        return sdk;
    }

    internal Task<ToolResult> TryAsync(string folder, params ReadOnlySpan<string> arguments) =>
        Tool.RunAsync(Tool.Describe(Program, folder, _environment, arguments));

    /// <summary>Runs a command that has to succeed. Where only a package could not be had, the test is skipped.</summary>
    internal async Task<ToolResult> RunAsync(string folder, params string[] arguments)
    {
        Stopwatch clock = Stopwatch.StartNew();
        ToolResult result = await TryAsync(folder, arguments);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{clock.Elapsed.TotalSeconds:F1} s: dotnet {string.Join(' ', arguments)}");
        if (!result.IsSuccess)
        {
            string? missing = result.Lines.FirstOrDefault(static line => NothingToRestore.Any(line.Contains));
            Assert.SkipWhen(missing is not null, $"A package cannot be restored: {missing?.Trim()}");
            Assert.Fail($"{result.CommandLine}\n{result.Output}");
        }

        return result;
    }
}
