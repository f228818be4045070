using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// The kernel's <c>struct tcp_info</c>, of which each version of Linux knows more than the one before: read by offset, and only as far as
/// this kernel has filled it. Null is what it does not know. The C library's own declaration ends early; the kernel's (linux/tcp.h) is
/// meant. Times are in microseconds.
/// </summary>
internal readonly record struct TcpMeasurements
{
    /// <summary>Room for what is read here. The kernel fills no more than it is given room for.</summary>
    internal const int Length = 232;

    internal const int SndMssOffset = 16;
    internal const int UnackedOffset = 24;
    internal const int SackedOffset = 28;
    internal const int LostOffset = 32;
    internal const int RttOffset = 68;
    internal const int RttvarOffset = 72;
    internal const int SndCwndOffset = 80;
    internal const int TotalRetransOffset = 100;
    internal const int BytesAckedOffset = 120;
    internal const int NotsentBytesOffset = 144;
    internal const int MinRttOffset = 148;
    internal const int DeliveryRateOffset = 160;
    internal const int BytesRetransOffset = 208;

    // Where nothing has been measured yet.
    private const uint NotMeasured = uint.MaxValue;

    internal uint? SegmentSize { get; private init; }

    internal uint? RoundTripTime { get; private init; }

    internal uint? RoundTripTimeVariation { get; private init; }

    internal uint? MinRoundTripTime { get; private init; }

    internal uint? CongestionWindow { get; private init; }

    /// <summary>Of a listening socket: how many connections wait to be accepted.</summary>
    internal uint? UnacknowledgedSegments { get; private init; }

    /// <summary>Of a listening socket: how many may wait.</summary>
    internal uint? SelectivelyAcknowledgedSegments { get; private init; }

    internal uint? LostSegments { get; private init; }

    internal uint? Retransmits { get; private init; }

    internal uint? UnsentBytes { get; private init; }

    internal ulong? AcknowledgedBytes { get; private init; }

    internal ulong? RetransmittedBytes { get; private init; }

    /// <summary>In bytes a second.</summary>
    internal ulong? DeliveryRate { get; private init; }

    /// <param name="info">As much as the kernel has filled.</param>
    internal static TcpMeasurements From(ReadOnlySpan<byte> info) => new()
    {
        SegmentSize = ReadUInt32(info, SndMssOffset),
        RoundTripTime = ReadTime(info, RttOffset),
        RoundTripTimeVariation = ReadTime(info, RttvarOffset),
        MinRoundTripTime = ReadTime(info, MinRttOffset),
        CongestionWindow = ReadUInt32(info, SndCwndOffset),
        UnacknowledgedSegments = ReadUInt32(info, UnackedOffset),
        SelectivelyAcknowledgedSegments = ReadUInt32(info, SackedOffset),
        LostSegments = ReadUInt32(info, LostOffset),
        Retransmits = ReadUInt32(info, TotalRetransOffset),
        UnsentBytes = ReadUInt32(info, NotsentBytesOffset),
        AcknowledgedBytes = ReadUInt64(info, BytesAckedOffset),
        RetransmittedBytes = ReadUInt64(info, BytesRetransOffset),
        DeliveryRate = ReadUInt64(info, DeliveryRateOffset),
    };

    private static uint? ReadTime(ReadOnlySpan<byte> info, int offset) =>
        ReadUInt32(info, offset) is { } time and not NotMeasured ? time : null;

    private static uint? ReadUInt32(ReadOnlySpan<byte> info, int offset) =>
        offset + sizeof(uint) <= info.Length ? MemoryMarshal.Read<uint>(info[offset..]) : null;

    private static ulong? ReadUInt64(ReadOnlySpan<byte> info, int offset) =>
        offset + sizeof(ulong) <= info.Length ? MemoryMarshal.Read<ulong>(info[offset..]) : null;
}
