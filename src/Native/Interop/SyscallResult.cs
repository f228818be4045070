using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// What a system call gave: a value, or an errno. Errors are values down here, since EAGAIN is everyday and only the top
/// layer knows which exception a failure is. Encoded as the kernel does: negative is minus errno.
/// </summary>
internal readonly struct SyscallResult
{
    private readonly long _value;

    private SyscallResult(long value) => _value = value;

    internal bool IsSuccess => _value >= 0;

    internal bool IsError => _value < 0;

    /// <summary>The value (a count, a descriptor, flags). Means nothing after an error.</summary>
    internal int Value => (int)_value;

    /// <inheritdoc cref="Value"/>
    internal long LongValue => _value;

    /// <summary>Why the call failed; <see cref="Errno.Success"/> when it did not.</summary>
    internal Errno Errno => _value < 0 ? (Errno)(int)-_value : Errno.Success;

    /// <summary>EAGAIN: the descriptor is not ready, wait for it.</summary>
    internal bool WouldBlock => _value == -(long)Errno.EAGAIN;

    /// <summary>EINTR. Only the retry loops in <see cref="SystemCalls"/> ever see it.</summary>
    internal bool IsInterrupted => _value == -(long)Errno.EINTR;

    internal static SyscallResult Success(long value) => new(value);

    internal static SyscallResult Failure(Errno errno) => new(-(long)errno);

    /// <summary>The convention of libc: -1 stands for the errno that the call just made left behind on this thread.</summary>
    internal static SyscallResult FromReturnValue(nint value) =>
        value >= 0 ? Success(value) : Failure((Errno)Marshal.GetLastPInvokeError());

    public override string ToString() => IsSuccess ? $"{_value}" : $"-{Errno}";
}
