namespace KestrelNetpoll.Tests.Common;

/// <summary>
/// For tests that look at, or change, what all tests of the process share, such as its open descriptors, and for those that a busy machine
/// disturbs: they run one after the other, when nothing runs beside them.
/// </summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
