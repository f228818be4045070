using System.Reflection;
using System.Runtime.InteropServices;
using KestrelNetpoll.Perf.Compare.Load;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>
/// The measured application as one would deploy it: published with ReadyToRun, so that its libraries are compiled before it starts, as
/// those of the shared framework are. Made when it is first needed.
/// </summary>
internal sealed class PublishedServer(string directory)
{
    private const string Published = "published";

    private string? _program;

    /// <summary>Publishes it, unless that has been done, and returns the program's path.</summary>
    /// <exception cref="MissingToolException">There is no SDK, or no source.</exception>
    /// <exception cref="LoadException">It cannot be published. The SDK restores the compiler for it as a package.</exception>
    internal async Task<string> GetAsync(CancellationToken cancellationToken)
    {
        if (_program is not null)
        {
            return _program;
        }

        string sdk = Tool.Find("dotnet") ?? throw new MissingToolException("The .NET SDK", "https://dot.net/download");
        string project = typeof(PublishedServer).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Single(static metadata => metadata.Key == "ServerProject").Value!;
        if (!File.Exists(project))
        {
            throw new MissingToolException("The server's source", "run Compare from a clone of the repository");
        }

        string output = Path.Combine(directory, Published);
        string architecture = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

        // With its own directory for what is made on the way: nothing in the source tree changes.
        await Tool.RunAsync(
            sdk,
            [
                "publish", project, "--configuration", "Release", "--runtime", $"linux-{architecture}", "--self-contained", "false",
                "-p:PublishReadyToRun=true", "--artifacts-path", Path.Combine(directory, "artifacts"), "--output", output,
            ],
            cancellationToken);
        _program = Path.Combine(output, ServerProcess.Application);
        return _program;
    }
}
