namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>
/// One piece of memory, advanced over in parts: a part is written and announced, and then the next one, behind it, in what is left of
/// the same memory. Kestrel's HTTP/1 output does so (aspnetcore issue 68148).
/// </summary>
public abstract partial class PipeWriterContract
{
    public static TheoryData<int, int> Parts => new() { { 1, 1 }, { 400, 600 }, { 1, 3_999 }, { 3_999, 1 }, { 5_000, 5_000 }, { 1, 100_000 } };

    [Theory]
    [MemberData(nameof(Parts))]
    public async Task A_span_is_written_in_two_parts_and_advanced_over_twice(int first, int second)
    {
        byte[] expected = WriteParts(Writer.GetSpan(first + second), first, 0, second);
        Task flush = FlushAsync();
        AssertSame(expected, ReceiveExactly(expected.Length));
        await flush;
    }

    [Theory]
    [MemberData(nameof(Parts))]
    public async Task Memory_is_written_in_two_parts_and_advanced_over_twice(int first, int second)
    {
        byte[] expected = WriteParts(Writer.GetMemory(first + second).Span, first, second);
        Task flush = FlushAsync();
        AssertSame(expected, ReceiveExactly(expected.Length));
        await flush;
    }

    [Theory]
    [MemberData(nameof(Parts))]
    public async Task Advancing_by_nothing_in_between_changes_nothing(int first, int second)
    {
        byte[] expected = WriteParts(Writer.GetSpan(first + second), 0, first, 0, 0, second, 0);
        Assert.Equal(expected.Length, Writer.UnflushedBytes);
        Task flush = FlushAsync();
        AssertSame(expected, ReceiveExactly(expected.Length));
        await flush;
    }

    [Fact]
    public async Task Many_parts_that_fill_the_memory_to_the_brim_all_arrive()
    {
        Memory<byte> memory = Writer.GetMemory(3_000);
        byte[] expected = Numbered(memory.Length);
        for (int i = 0; i < memory.Length; i++)
        {
            memory.Span[i] = expected[i];
            Writer.Advance(1);
        }

        // Nothing is left of it, and nothing more can be announced.
        Assert.Throws<ArgumentOutOfRangeException>(() => Writer.Advance(1));
        Task flush = FlushAsync();
        AssertSame(expected, ReceiveExactly(expected.Length));
        await flush;
    }

    [Fact]
    public async Task Parts_across_a_flush_arrive_in_order()
    {
        // A flush takes the rest of the memory back, so each part asks again; both may lie in one block.
        byte[] expected = Numbered(4_000);
        for (int offset = 0; offset < expected.Length; offset += 1_000)
        {
            Memory<byte> memory = Writer.GetMemory(1_000);
            expected.AsSpan(offset, 300).CopyTo(memory.Span);
            Writer.Advance(300);
            expected.AsSpan(offset + 300, 700).CopyTo(memory.Span[300..]);
            Writer.Advance(700);
            await FlushAsync();
            AssertSame(expected[offset..(offset + 1_000)], ReceiveExactly(1_000));
        }
    }

    [Fact]
    public async Task The_rest_of_the_memory_that_a_flush_has_taken_back_cannot_corrupt_what_comes()
    {
        Writer.GetSpan(1_000)[..1_000].Fill(1);
        Writer.Advance(400);
        await FlushAsync();
        Assert.All(ReceiveExactly(400), static b => Assert.Equal(1, b));

        Writer.GetSpan(600)[..600].Fill(2);
        Writer.Advance(600);
        await FlushAsync();
        Assert.All(ReceiveExactly(600), static b => Assert.Equal(2, b));
    }

    [Fact]
    public async Task A_hint_that_does_not_fit_keeps_what_was_advanced_over()
    {
        byte[] expected = Numbered(10_000);
        expected.AsSpan(0, 10).CopyTo(Writer.GetSpan(1_000));
        Writer.Advance(10);
        expected.AsSpan(10).CopyTo(Writer.GetSpan(expected.Length));
        Writer.Advance(expected.Length - 10);
        Assert.Equal(expected.Length, Writer.UnflushedBytes);
        Task flush = FlushAsync();
        AssertSame(expected, ReceiveExactly(expected.Length));
        await flush;
    }

    private static byte[] Numbered(int count) => [.. Enumerable.Range(0, count).Select(static i => (byte)(i * 31 % 251))];

    private static void AssertSame(byte[] expected, byte[] actual) => Assert.True(expected.AsSpan().SequenceEqual(actual));

    // Each part is written right before it is announced: nothing may have moved by then.
    private byte[] WriteParts(Span<byte> memory, params int[] parts)
    {
        byte[] expected = Numbered(parts.Sum());
        int offset = 0;
        foreach (int part in parts)
        {
            expected.AsSpan(offset, part).CopyTo(memory[offset..]);
            Writer.Advance(part);
            offset += part;
        }

        return expected;
    }
}
