using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// Where the fields of <c>struct epoll_event</c> lie. x64 packs it, so that 32-bit programs see the same bytes; every other
/// architecture aligns the 64-bit data. One assembly serves both, so the layout is a value chosen at run time, not a struct.
/// The 32-bit event mask is at offset 0 in both.
/// </summary>
internal readonly struct EpollEventLayout
{
    private EpollEventLayout(int size, int dataOffset)
    {
        Size = size;
        DataOffset = dataOffset;
    }

    /// <summary>The layout for the process that asks.</summary>
    internal static EpollEventLayout Current => For(RuntimeInformation.ProcessArchitecture);

    /// <summary>Bytes from one event to the next.</summary>
    internal int Size { get; }

    /// <summary>Byte offset of the 64-bit user data.</summary>
    internal int DataOffset { get; }

    /// <exception cref="PlatformNotSupportedException">
    /// The architecture is not x64 or arm64. Others may number constants and calls differently, so guessing would corrupt memory.
    /// </exception>
    internal static EpollEventLayout For(Architecture architecture) => architecture switch
    {
        Architecture.X64 => new EpollEventLayout(size: 12, dataOffset: 4),
        Architecture.Arm64 => new EpollEventLayout(size: 16, dataOffset: 8),
        _ => throw new PlatformNotSupportedException($"The epoll poller runs on x64 and arm64; this process is {architecture}."),
    };
}
