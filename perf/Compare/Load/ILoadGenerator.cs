namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>A program that makes load and says what it has seen.</summary>
internal interface ILoadGenerator
{
    string Name { get; }

    /// <summary>Gets whether it can be run on this machine.</summary>
    bool IsInstalled { get; }

    /// <summary>Gets the command that installs it.</summary>
    string InstallCommand { get; }

    bool CanMake(LoadRequest request);

    /// <exception cref="LoadException">It failed, or some requests did.</exception>
    /// <exception cref="MissingToolException">It is not installed.</exception>
    Task<LoadResult> RunAsync(LoadRequest request, CancellationToken cancellationToken);
}
