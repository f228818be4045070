using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// The kernel's <c>struct tcp_info</c>, of which each version of Linux knows more than the one before: read by offset, and only as far as
/// this kernel has filled it. The C library's own declaration ends early; the kernel's (linux/tcp.h) is meant.
/// </summary>
internal readonly ref struct TcpMeasurements(ReadOnlySpan<byte> bytes)
{
    /// <summary>Room for what is read here. The kernel fills no more than it is given room for.</summary>
    internal const int Length = 232;

    internal const int UnackedOffset = 24;
    internal const int SackedOffset = 28;
    internal const int LostOffset = 32;
    internal const int RetransOffset = 36;
    internal const int RttOffset = 68;
    internal const int RttvarOffset = 72;
    internal const int SndCwndOffset = 80;
    internal const int SndMssOffset = 16;
    internal const int TotalRetransOffset = 100;
    internal const int BytesAckedOffset = 120;
    internal const int NotsentBytesOffset = 144;
    internal const int MinRttOffset = 148;
    internal const int DeliveryRateOffset = 160;
    internal const int BytesRetransOffset = 208;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>The number of 32 bits at an offset; null if this kernel has none there.</summary>
    internal uint? ReadUInt32(int offset) => offset + sizeof(uint) <= _bytes.Length ? MemoryMarshal.Read<uint>(_bytes[offset..]) : null;

    /// <summary>The number of 64 bits at an offset; null if this kernel has none there.</summary>
    internal ulong? ReadUInt64(int offset) => offset + sizeof(ulong) <= _bytes.Length ? MemoryMarshal.Read<ulong>(_bytes[offset..]) : null;
}
