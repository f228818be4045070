using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>The bytes of struct kevent, against structs with the fields in the order and the widths of the systems' headers.</summary>
public sealed class KeventLayoutTests
{
    private static readonly Kevent Sample = new(
        Ident: 0x0102_0304, Filter: 1, Flags: Kevent.EV_ADD | Kevent.EV_EOF, FilterFlags: 0x1122_3344, Data: -5, UserData: 0x8877_6655_4433_2211);

    [Fact]
    public void Darwin() => Compare(
        KeventLayout.Darwin,
        new DarwinKevent
        {
            Ident = (nuint)Sample.Ident,
            Filter = (short)Sample.Filter,
            Flags = (ushort)Sample.Flags,
            FilterFlags = Sample.FilterFlags,
            Data = (nint)Sample.Data,
            UserData = (nint)Sample.UserData,
        });

    [Fact]
    public void OpenBsd() => Compare(
        KeventLayout.OpenBsd,
        new OpenBsdKevent
        {
            Ident = (nuint)Sample.Ident,
            Filter = (short)Sample.Filter,
            Flags = (ushort)Sample.Flags,
            FilterFlags = Sample.FilterFlags,
            Data = Sample.Data,
            UserData = (nint)Sample.UserData,
        });

    [Fact]
    public void FreeBsd() => Compare(
        KeventLayout.FreeBsd,
        new FreeBsdKevent
        {
            Ident = (nuint)Sample.Ident,
            Filter = (short)Sample.Filter,
            Flags = (ushort)Sample.Flags,
            FilterFlags = Sample.FilterFlags,
            Data = Sample.Data,
            UserData = (nint)Sample.UserData,
        });

    [Fact]
    public void NetBsd() => Compare(
        KeventLayout.NetBsd,
        new NetBsdKevent
        {
            Ident = (nuint)Sample.Ident,
            Filter = (uint)Sample.Filter,
            Flags = Sample.Flags,
            FilterFlags = Sample.FilterFlags,
            Data = Sample.Data,
            UserData = (nint)Sample.UserData,
        });

    private static void Compare<T>(KeventLayout layout, T expected)
        where T : unmanaged
    {
        byte[] bytes = new byte[2 * layout.Size];

        // Nothing of what was there before stays.
        bytes.AsSpan().Fill(0xFF);
        layout.Write(bytes, 1, Sample);

        Assert.Equal(MemoryMarshal.AsBytes([expected]), bytes.AsSpan(layout.Size));
        Assert.Equal(Sample, layout.Read(bytes, 1));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct DarwinKevent
    {
        internal nuint Ident;
        internal short Filter;
        internal ushort Flags;
        internal uint FilterFlags;
        internal nint Data;
        internal nint UserData;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct OpenBsdKevent
    {
        internal nuint Ident;
        internal short Filter;
        internal ushort Flags;
        internal uint FilterFlags;
        internal long Data;
        internal nint UserData;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct FreeBsdKevent
    {
        internal nuint Ident;
        internal short Filter;
        internal ushort Flags;
        internal uint FilterFlags;
        internal long Data;
        internal nint UserData;
        internal ulong Ext0;
        internal ulong Ext1;
        internal ulong Ext2;
        internal ulong Ext3;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct NetBsdKevent
    {
        internal nuint Ident;
        internal uint Filter;
        internal uint Flags;
        internal uint FilterFlags;
        internal long Data;
        internal nint UserData;
    }
}
