using Xunit.v3;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>
/// For tests that need not be run in every mode: their outcome depends neither on where the application runs nor on the number of worker
/// groups, or they make these settings themselves. Whatever is not marked is run in every mode (<see cref="SuiteSettings"/>).
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class OneModeAttribute : Attribute, ITraitAttribute
{
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [KeyValuePair.Create("Modes", "One")];
}
