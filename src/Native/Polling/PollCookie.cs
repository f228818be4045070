namespace KestrelNetpoll.Native.Polling;

/// <summary>
/// The 64 bits given to the kernel with a registration and returned with each of its events:
/// <c>fdseq &lt;&lt; 32 | slot</c>. A slot is an index, not a pointer, so nothing is assumed about address widths.
/// </summary>
internal readonly record struct PollCookie(ulong Word)
{
    /// <summary>
    /// The poller's own wake-up descriptor. No slot and fdseq produce it, because
    /// <see cref="PollDescriptorTable"/> never hands out slot 2^32-1. Compare whole words only.
    /// </summary>
    internal static PollCookie WakeUp => new(ulong.MaxValue);

    internal uint Slot => (uint)Word;

    internal uint Fdseq => (uint)(Word >> 32);

    internal static PollCookie Create(uint fdseq, uint slot) => new(((ulong)fdseq << 32) | slot);
}
