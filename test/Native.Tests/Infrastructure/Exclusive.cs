namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>For tests that look at something the whole process shares, such as its open descriptors: nothing runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Exclusive
{
    public const string Name = "Exclusive";
}
