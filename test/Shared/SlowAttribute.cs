using Xunit.v3;

namespace KestrelNetpoll.Tests.Common;

/// <summary>For tests that take more than three seconds on a machine with time. <c>--filter Speed!=Slow</c> does without them.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class SlowAttribute : Attribute, ITraitAttribute
{
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [KeyValuePair.Create("Speed", "Slow")];
}
