using System.Text.RegularExpressions;

namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>Makes a project of each program in the README of KestrelNetpoll.Native.</summary>
internal static partial class ReadmePrograms
{
    internal const string Fifo = "fifo";
    internal const string Terminal = "terminal";
    internal const string Tun = "tun";

    internal const string Solution = "Programs.slnx";

    private static readonly Dictionary<string, string> Headings = new()
    {
        [Fifo] = "A FIFO",
        [Terminal] = "A pseudo-terminal",
        [Tun] = "A tun device",
    };

    /// <summary>Writes the projects and a solution of them. Warnings are errors: a reader would have them, too.</summary>
    internal static void Write(string readme, string version, string folder)
    {
        foreach ((string name, string heading) in Headings)
        {
            string project = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
            File.WriteAllText(Path.Combine(project, "Program.cs"), Find(readme, heading));
            File.WriteAllText(
                Path.Combine(project, $"{name}.csproj"),
                $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup>
                    <OutputType>Exe</OutputType>
                    <TargetFramework>net10.0</TargetFramework>
                    <Nullable>enable</Nullable>
                    <ImplicitUsings>enable</ImplicitUsings>
                    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                  </PropertyGroup>
                  <ItemGroup>
                    <PackageReference Include="KestrelNetpoll.Native" Version="{version}" />
                  </ItemGroup>
                </Project>
                """);
        }

        File.WriteAllText(
            Path.Combine(folder, Solution),
            $"<Solution>{string.Concat(Headings.Keys.Select(static name => $"<Project Path=\"{name}/{name}.csproj\" />"))}</Solution>");
    }

    // The block of code that comes next after the heading.
    private static string Find(string readme, string heading)
    {
        int start = readme.IndexOf($"## {heading}\n", StringComparison.Ordinal);
        Assert.True(start >= 0, $"The README has nothing about '{heading}'.");
        Match program = Code().Match(readme, start);
        Assert.True(program.Success, $"The README has no program under '{heading}'.");
        return program.Groups[1].Value;
    }

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Code();
}
