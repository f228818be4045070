namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>Chooses who makes a load: of those that can, the first that is installed.</summary>
internal sealed class LoadGenerators(IReadOnlyList<ILoadGenerator> generators)
{
    /// <exception cref="MissingToolException">None is installed.</exception>
    internal ILoadGenerator Choose(LoadRequest request)
    {
        ILoadGenerator[] able = [.. generators.Where(generator => generator.CanMake(request))];
        return able.FirstOrDefault(static generator => generator.IsInstalled)
            ?? (able.Length > 0
                ? throw new MissingToolException(able[^1].Name, able[^1].InstallCommand)
                : throw new LoadException($"No load generator makes such a load: {request}"));
    }

    /// <summary>In the order in which they are asked; <paramref name="preferred"/> comes first.</summary>
    internal static LoadGenerators Create(LoadPrograms programs, string? preferred)
    {
        ILoadGenerator[] all =
        [
            new Bombardier(), new Wrk(), new H2Load(), new HttpLoad(programs), new WebSocketLoad(programs),
            new ServerSentEventsLoad(programs), new EchoLoad(programs),
        ];
        return new LoadGenerators([.. all.OrderBy(generator => generator.Name == preferred ? 0 : 1)]);
    }
}
