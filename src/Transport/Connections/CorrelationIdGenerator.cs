namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Makes connection ids as Kestrel's other transports write them: 13 digits from 0-9 and A-V, the base-32 form of a counter.
/// The counter starts at the current time in ticks, so that ids stay unique across restarts and sort by age.
/// Any thread may call <see cref="Next"/>.
/// </summary>
internal sealed class CorrelationIdGenerator(long seed)
{
    internal const int Length = 13;

    private const int BitsPerDigit = 5;

    private long _last = seed;

    internal CorrelationIdGenerator()
        : this(DateTime.UtcNow.Ticks)
    {
    }

    internal string Next() => string.Create(Length, Interlocked.Increment(ref _last), static (digits, id) =>
    {
        // Unsigned, so that the topmost digit of a negative number is not smeared with sign bits.
        var rest = (ulong)id;
        for (var i = digits.Length - 1; i >= 0; i--)
        {
            digits[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUV"[(int)(rest & 31)];
            rest >>= BitsPerDigit;
        }
    });
}
