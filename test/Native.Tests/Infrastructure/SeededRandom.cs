namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// A random schedule that can be run again: the seed is in the test's output, and the variable NETPOLL_TEST_SEED sets it.
/// </summary>
internal static class SeededRandom
{
    private const string Variable = "NETPOLL_TEST_SEED";

    internal static Random Create() => new(NewSeed());

    internal static int NewSeed()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable(Variable), out int given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"{Variable}={seed}");
        return seed;
    }
}
