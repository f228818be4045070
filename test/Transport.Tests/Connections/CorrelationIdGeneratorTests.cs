using System.Collections.Concurrent;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Connections;

[OneMode]
public class CorrelationIdGeneratorTests
{
    [Theory]
    [InlineData(-1, "0000000000000")]
    [InlineData(0, "0000000000001")]
    [InlineData(30, "000000000000V")]
    [InlineData(31, "0000000000010")]
    [InlineData(long.MaxValue - 1, "7VVVVVVVVVVVV")]
    [InlineData(long.MaxValue, "8000000000000")]
    [InlineData(-2, "FVVVVVVVVVVVV")]
    public void An_id_is_the_counter_in_base_32(long seed, string expected) =>
        Assert.Equal(expected, new CorrelationIdGenerator(seed).Next());

    [Fact]
    public void The_default_seed_is_the_time_so_that_ids_sort_by_age()
    {
        string first = new CorrelationIdGenerator().Next();
        string later = new CorrelationIdGenerator(DateTime.UtcNow.AddSeconds(1).Ticks).Next();

        Assert.Equal(CorrelationIdGenerator.Length, first.Length);
        Assert.True(string.CompareOrdinal(first, later) < 0);
    }

    [Fact]
    public void Threads_never_get_the_same_id()
    {
        var generator = new CorrelationIdGenerator();
        ConcurrentDictionary<string, bool> ids = new();

        Parallel.For(0, 10_000, _ => Assert.True(ids.TryAdd(generator.Next(), true)));
    }
}
