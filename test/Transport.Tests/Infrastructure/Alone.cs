namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>Tests that look at, or change, what all tests of the process share: they run one after the other, after the rest.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
