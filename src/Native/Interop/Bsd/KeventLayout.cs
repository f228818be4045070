using System.Buffers.Binary;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// Where the fields of <c>struct kevent</c> lie, and how a system numbers its filters. All of them are 64-bit and little-endian here. One
/// assembly serves all, so the layout is a value, not a struct.
/// </summary>
internal sealed record KeventLayout
{
    private const int IdentOffset = 0;
    private const int FilterOffset = 8;
    private const int WideFilterSize = 4;

    private KeventLayout()
    {
    }

    /// <summary>macOS.</summary>
    internal static KeventLayout Darwin { get; } = new() { Size = 32, UserFilter = -10 };

    /// <summary>FreeBSD from 12 on, with four words that are not used here behind the others.</summary>
    internal static KeventLayout FreeBsd { get; } = new() { Size = 64, UserFilter = -11 };

    /// <summary>OpenBSD.</summary>
    internal static KeventLayout OpenBsd { get; } = new() { Size = 32 };

    /// <summary>NetBSD up to 9, and what later ones still offer: wider fields, and filters that count from 0.</summary>
    internal static KeventLayout NetBsd { get; } = new()
    {
        Size = 40,
        FilterSize = WideFilterSize,
        FlagsOffset = 12,
        FilterFlagsOffset = 16,
        DataOffset = 24,
        UserDataOffset = 32,
        ReadFilter = 0,
        WriteFilter = 1,
    };

    /// <summary>Bytes from one event to the next.</summary>
    internal int Size { get; private init; }

    /// <summary>EVFILT_READ.</summary>
    internal int ReadFilter { get; private init; } = -1;

    /// <summary>EVFILT_WRITE.</summary>
    internal int WriteFilter { get; private init; } = -2;

    /// <summary>EVFILT_USER; null where it cannot be relied on.</summary>
    internal int? UserFilter { get; private init; }

    private int FilterSize { get; init; } = sizeof(short);

    private int FlagsOffset { get; init; } = 10;

    private int FilterFlagsOffset { get; init; } = 12;

    private int DataOffset { get; init; } = 16;

    private int UserDataOffset { get; init; } = 24;

    private bool IsWide => FilterSize == WideFilterSize;

    /// <summary>Writes the event with this index.</summary>
    internal void Write(Span<byte> events, int index, in Kevent kevent)
    {
        Span<byte> bytes = events.Slice(index * Size, Size);
        bytes.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[IdentOffset..], kevent.Ident);
        if (IsWide)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes[FilterOffset..], kevent.Filter);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[FlagsOffset..], kevent.Flags);
        }
        else
        {
            BinaryPrimitives.WriteInt16LittleEndian(bytes[FilterOffset..], (short)kevent.Filter);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes[FlagsOffset..], (ushort)kevent.Flags);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes[FilterFlagsOffset..], kevent.FilterFlags);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[DataOffset..], kevent.Data);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[UserDataOffset..], kevent.UserData);
    }

    /// <summary>Reads the event with this index.</summary>
    internal Kevent Read(ReadOnlySpan<byte> events, int index)
    {
        ReadOnlySpan<byte> bytes = events.Slice(index * Size, Size);
        return new Kevent(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[IdentOffset..]),
            IsWide
                ? BinaryPrimitives.ReadInt32LittleEndian(bytes[FilterOffset..])
                : BinaryPrimitives.ReadInt16LittleEndian(bytes[FilterOffset..]),
            IsWide
                ? BinaryPrimitives.ReadUInt32LittleEndian(bytes[FlagsOffset..])
                : BinaryPrimitives.ReadUInt16LittleEndian(bytes[FlagsOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[FilterFlagsOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[DataOffset..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[UserDataOffset..]));
    }
}
