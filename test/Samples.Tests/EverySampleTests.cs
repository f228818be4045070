namespace KestrelNetpoll.Samples.Tests;

public sealed class EverySampleTests
{
    public static TheoryData<string> Samples => new(
        Directory.EnumerateFiles(Path.Combine(SampleProcess.Repository, "samples"), "*.csproj", SearchOption.AllDirectories)
            .Select(static path => Path.GetFileNameWithoutExtension(path)).Order());

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_misspelt_option_is_an_error_that_lists_those_there_are(string sample)
    {
        (int exitCode, string output) = await SampleProcess.RunAsync(sample, "--misspelt", "1");

        Assert.Equal(2, exitCode);
        string[] lines = output.Split('\n');
        Assert.Equal("There is no option --misspelt.", lines[0]);
        Assert.Equal($"Usage: {sample} [options]", lines[1]);
        Assert.All(lines[2..], static line => Assert.StartsWith("  --", line, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_page_says_how_to_run_it_and_the_solution_has_it(string sample)
    {
        string page = File.ReadAllText(Path.Combine(SampleProcess.Repository, "samples", sample, "README.md"));
        Assert.Contains($"dotnet run -c Release --project samples/{sample}", page, StringComparison.Ordinal);
        Assert.Contains(
            $"samples\\{sample}\\{sample}.csproj",
            File.ReadAllText(Path.Combine(SampleProcess.Repository, "KestrelNetpoll.sln")),
            StringComparison.Ordinal);
        Assert.Contains(
            $"[{sample}]({sample}/)",
            File.ReadAllText(Path.Combine(SampleProcess.Repository, "samples", "README.md")),
            StringComparison.Ordinal);
    }
}
