namespace KestrelNetpoll.Packages.Tests.Infrastructure;

/// <summary>Tests that take a minute each: the whole suite is to stay under ten.</summary>
internal static class LongTests
{
    private const string Variable = "NETPOLL_TEST_LongPackageTests";

    internal static void SkipUnlessWanted() => Assert.SkipUnless(
        Environment.GetEnvironmentVariable(Variable) == "true",
        $"It takes about a minute on two processors: set {Variable}=true, as a release does.");
}
