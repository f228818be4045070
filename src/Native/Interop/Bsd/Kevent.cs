namespace KestrelNetpoll.Native.Interop;

/// <summary>What a <c>struct kevent</c> says, whatever it looks like on the system at hand.</summary>
/// <param name="Ident">The descriptor.</param>
/// <param name="Filter">What is watched: one of <see cref="KeventLayout"/>'s.</param>
/// <param name="Flags"><c>EV_…</c>.</param>
/// <param name="FilterFlags">With EV_EOF on a socket, why it ended: an errno, or 0.</param>
/// <param name="Data">Bytes, or the errno of EV_ERROR.</param>
/// <param name="UserData">Comes back as it was given.</param>
internal readonly record struct Kevent(ulong Ident, int Filter, uint Flags, uint FilterFlags, long Data, ulong UserData)
{
    internal const uint EV_ADD = 0x1;
    internal const uint EV_DELETE = 0x2;
    internal const uint EV_CLEAR = 0x20;
    internal const uint EV_RECEIPT = 0x40;
    internal const uint EV_ERROR = 0x4000;
    internal const uint EV_EOF = 0x8000;
    internal const uint NOTE_TRIGGER = 0x0100_0000;
}
