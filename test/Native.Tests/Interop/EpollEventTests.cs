using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

public sealed class EpollEventTests
{
    [Theory]
    [InlineData(Architecture.X64, 12, 4)]
    [InlineData(Architecture.Arm64, 16, 8)]
    public void Layout_follows_the_architecture(Architecture architecture, int size, int dataOffset)
    {
        EpollEventLayout layout = EpollEventLayout.For(architecture);

        Assert.Equal(size, layout.Size);
        Assert.Equal(dataOffset, layout.DataOffset);
    }

    [Fact]
    public void Other_architectures_are_refused()
    {
        foreach (Architecture architecture in Enum.GetValues<Architecture>().Except([Architecture.X64, Architecture.Arm64]))
        {
            Assert.Throws<PlatformNotSupportedException>(() => EpollEventLayout.For(architecture));
        }
    }

    [Theory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public unsafe void Buffer_reads_and_writes_the_bytes_that_the_kernel_does(Architecture architecture)
    {
        EpollEventLayout layout = EpollEventLayout.For(architecture);
        EpollEventBuffer buffer = new(capacity: 3, layout);

        for (int i = 0; i < buffer.Capacity; i++)
        {
            buffer.Set(i, events: 0x8000_0001u + (uint)i, data: 0xFEDC_BA98_7654_3210 + (ulong)i);
        }

        ReadOnlySpan<byte> bytes = new(buffer.Pointer, buffer.Capacity * layout.Size);
        for (int i = 0; i < buffer.Capacity; i++)
        {
            ReadOnlySpan<byte> epollEvent = bytes.Slice(i * layout.Size, layout.Size);
            Assert.Equal(0x8000_0001u + (uint)i, BinaryPrimitives.ReadUInt32LittleEndian(epollEvent));
            Assert.Equal(0xFEDC_BA98_7654_3210 + (ulong)i, BinaryPrimitives.ReadUInt64LittleEndian(epollEvent[layout.DataOffset..]));
            Assert.Equal(0x8000_0001u + (uint)i, buffer.Events(i));
            Assert.Equal(0xFEDC_BA98_7654_3210 + (ulong)i, buffer.Data(i));
        }

        GC.KeepAlive(buffer);
    }

    [Fact]
    public void A_wait_for_more_events_than_fit_never_reaches_the_kernel()
    {
        EpollEventBuffer buffer = new(capacity: 2, EpollEventLayout.Current);

        Assert.Throws<ArgumentOutOfRangeException>(() => SystemCalls.Instance.EpollWait(-1, buffer, 3, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => SystemCalls.Instance.EpollPwait2(-1, buffer, 3, 0));
    }
}
