using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// The events of one wait: memory that the kernel fills. Pinned for its lifetime, because a worker sleeps in epoll_wait
/// with the pointer in the kernel's hands. Not thread-safe: each waiting thread has its own.
/// </summary>
internal sealed unsafe class EpollEventBuffer
{
    private readonly byte[] _bytes;
    private readonly EpollEventLayout _layout;

    internal EpollEventBuffer(int capacity, EpollEventLayout layout)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Capacity = capacity;
        _layout = layout;
        _bytes = GC.AllocateArray<byte>(checked(capacity * layout.Size), pinned: true);
        Pointer = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_bytes));
    }

    internal int Capacity { get; }

    /// <summary>The first event. Valid while this object is reachable; see <see cref="GC.KeepAlive"/>.</summary>
    internal byte* Pointer { get; }

    /// <summary>The event mask of event <paramref name="index"/>.</summary>
    internal uint Events(int index) => Unsafe.ReadUnaligned<uint>(ref _bytes[index * _layout.Size]);

    /// <summary>The user data that event <paramref name="index"/> was registered with.</summary>
    internal ulong Data(int index) => Unsafe.ReadUnaligned<ulong>(ref _bytes[(index * _layout.Size) + _layout.DataOffset]);

    /// <summary>Writes an event as the kernel would; for kernels that tests simulate.</summary>
    internal void Set(int index, uint events, ulong data)
    {
        Unsafe.WriteUnaligned(ref _bytes[index * _layout.Size], events);
        Unsafe.WriteUnaligned(ref _bytes[(index * _layout.Size) + _layout.DataOffset], data);
    }
}
