using System.IO.Compression;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>
/// Both packages, made once for all tests from a copy of the sources as they are now, and a folder where they can be referenced: beside the
/// machine's own package sources, and with a package folder of its own, so that the packages just made are taken and leave nothing behind.
/// </summary>
public sealed class PackedLibraries : IAsyncDisposable
{
    internal const string RepositoryUrl = "https://github.com/example/netpoll-under-test";

    internal const string Collection = "packages";

    private const string Native = "KestrelNetpoll.Native";
    private const string Transport = "KestrelNetpoll.Transport";

    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<Task> _packing;
    private readonly Lazy<Task<string>> _webApp;
    private readonly Lazy<Task<string>> _readmePrograms;
    private string? _machinePackages;

    public PackedLibraries()
    {
        _packing = new Lazy<Task>(PackAsync);
        _webApp = new Lazy<Task<string>>(MakeWebAppAsync);
        _readmePrograms = new Lazy<Task<string>>(BuildReadmeProgramsAsync);
    }

    /// <summary>A version that no other package ever had.</summary>
    internal string Version { get; } = $"7.6.5-t{Guid.NewGuid():N}";

    /// <summary>The sources that were packed, a repository with the one tag.</summary>
    internal string Sources => Path.Combine(_folder.Path, "sources");

    /// <summary>Where projects that use the packages are to be made.</summary>
    internal string Users => _folder.Folder("users");

    /// <summary>This machine, as .NET names what it publishes for.</summary>
    internal static string RuntimeIdentifier
    {
        get
        {
            string? architecture = RuntimeInformation.ProcessArchitecture switch
            {
                Architecture.X64 => "x64",
                Architecture.Arm64 => "arm64",
                _ => null,
            };
            Assert.SkipUnless(
                OperatingSystem.IsLinux()
                    && architecture is not null
                    && !RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal),
                $"The packages have no code for {RuntimeInformation.RuntimeIdentifier}.");
            return $"linux-{architecture}";
        }
    }

    internal string Package(string id, string extension) => Path.Combine(_folder.Path, "feed", $"{id}.{Version}.{extension}");

    /// <summary>An SDK for projects that use the packages.</summary>
    internal async Task<DotnetSdk> GetUserSdkAsync()
    {
        await PackedAsync();
        return DotnetSdk.Find().With("NUGET_PACKAGES", _folder.Folder("packages"));
    }

    /// <summary>Makes the packages, or skips the test.</summary>
    internal Task PackedAsync() => _packing.Value;

    /// <summary>A copy of what `dotnet new web`, `dotnet add package` and the one line make.</summary>
    internal async Task<string> CopyWebAppAsync(string name)
    {
        string copy = Path.Combine(Users, name);
        TemporaryFolder.CopySources(await _webApp.Value, copy);
        return copy;
    }

    /// <summary>The folder with the programs in the README of KestrelNetpoll.Native, built.</summary>
    internal Task<string> GetReadmeProgramsAsync() => _readmePrograms.Value;

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task PackAsync()
    {
        DotnetSdk sdk = DotnetSdk.Find();
        Repository.CopyTo(Sources);
        await Repository.InitializeAsync(Sources, RepositoryUrl, $"v{Version}");
        await sdk.RunAsync(
            Sources, "pack", Repository.SolutionOfLibraries, "-c", "Release", "-o", _folder.Folder("feed"), "-p:RunAnalyzers=false");

        _machinePackages = await Repository.ReadPackageFolderAsync(Sources);
        await WriteConfigurationAsync();
    }

    // Beside the configuration of the user and the machine, which goes on applying. What the machine has restored before need not be
    // fetched again; it is only read.
    private Task WriteConfigurationAsync() => File.WriteAllTextAsync(
        Path.Combine(Users, "NuGet.Config"),
        $"""
        <configuration>
          <packageSources>
            <add key="packed-under-test" value="{_folder.Folder("feed")}" />
          </packageSources>
          <fallbackPackageFolders>
            <add key="restored-on-this-machine" value="{_machinePackages}" />
          </fallbackPackageFolders>
        </configuration>
        """);

    private async Task<string> BuildReadmeProgramsAsync()
    {
        DotnetSdk sdk = await GetUserSdkAsync();
        string folder = Path.Combine(Users, "programs");
        using (ZipArchive package = ZipFile.OpenRead(Package(Native, "nupkg")))
        {
            ReadmePrograms.Write(package.ReadText("README.md"), Version, folder);
        }

        await sdk.RunAsync(folder, "build", ReadmePrograms.Solution, "-c", "Release");
        return folder;
    }

    private async Task<string> MakeWebAppAsync()
    {
        DotnetSdk sdk = await GetUserSdkAsync();
        await sdk.RunAsync(Users, "new", "web", "-o", "app");
        string app = Path.Combine(Users, "app");
        await sdk.RunAsync(app, "add", "package", Transport, "--version", Version);

        const string Builder = "var builder = WebApplication.CreateBuilder(args);\n";
        string program = Path.Combine(app, "Program.cs");
        string code = (await File.ReadAllTextAsync(program)).ReplaceLineEndings("\n");
        Assert.Contains(Builder, code, StringComparison.Ordinal);
        code = code.Replace(Builder, Builder + "builder.WebHost.UseNetpollTransport();\n", StringComparison.Ordinal);
        await File.WriteAllTextAsync(program, code);
        return app;
    }
}

/// <summary>Tests that share the packages. They run one after the other: each of them keeps all processors busy.</summary>
[CollectionDefinition(PackedLibraries.Collection)]
public sealed class UsersOfPackedLibraries : ICollectionFixture<PackedLibraries>;
