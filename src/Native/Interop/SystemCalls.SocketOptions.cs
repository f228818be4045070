namespace KestrelNetpoll.Native.Interop;

/// <content>Socket options that are no number.</content>
internal partial class SystemCalls
{
    /// <summary>Reads an option of any size.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="level">SOL_SOCKET, or the protocol.</param>
    /// <param name="option">Its number.</param>
    /// <param name="value">Where it goes.</param>
    /// <param name="length">How much of <paramref name="value"/> the kernel has filled; an older one knows less.</param>
    internal SyscallResult GetSockOptBytes(int fd, int level, int option, Span<byte> value, out int length)
    {
        SyscallResult result;
        while ((result = GetSockOptBytesOnce(fd, level, option, value, out length)).IsInterrupted) { }
        return result;
    }

    /// <summary>Sets an option of any size.</summary>
    internal SyscallResult SetSockOptBytes(int fd, int level, int option, ReadOnlySpan<byte> value)
    {
        SyscallResult result;
        while ((result = SetSockOptBytesOnce(fd, level, option, value)).IsInterrupted) { }
        return result;
    }

    protected internal virtual unsafe SyscallResult SetSockOptBytesOnce(int fd, int level, int option, ReadOnlySpan<byte> value)
    {
        fixed (byte* pointer = value)
        {
            return SyscallResult.FromReturnValue(LibC.setsockopt(fd, level, option, pointer, (uint)value.Length));
        }
    }

    protected internal virtual unsafe SyscallResult GetSockOptBytesOnce(int fd, int level, int option, Span<byte> value, out int length)
    {
        uint given = (uint)value.Length;
        fixed (byte* pointer = value)
        {
            int result = LibC.getsockopt(fd, level, option, pointer, &given);
            length = result < 0 ? 0 : (int)given;
            return SyscallResult.FromReturnValue(result);
        }
    }
}
