using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// Fields that only tests look into: to check what a semaphore was left in, and to start a slot close to the fdseq's end.
/// </summary>
internal static class PollDescriptorFields
{
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_info")]
    internal static extern ref ulong InfoWord(PollDescriptor descriptor);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_readSemaphore")]
    internal static extern ref PollSemaphore ReadSemaphore(PollDescriptor descriptor);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_writeSemaphore")]
    internal static extern ref PollSemaphore WriteSemaphore(PollDescriptor descriptor);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_readDeadline")]
    internal static extern ref PollDeadline ReadDeadline(PollDescriptor descriptor);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_writeDeadline")]
    internal static extern ref PollDeadline WriteDeadline(PollDescriptor descriptor);
}
