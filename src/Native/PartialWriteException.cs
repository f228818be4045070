namespace KestrelNetpoll.Native;

/// <summary>
/// A write failed after the kernel had taken part of it, for instance because the reader of a pipe left (EPIPE). A write that fails before
/// that throws an ordinary <see cref="IOException"/>.
/// </summary>
public sealed class PartialWriteException : IOException
{
    /// <summary>Creates the exception without a count.</summary>
    public PartialWriteException()
    {
    }

    /// <summary>Creates the exception with a message of its own.</summary>
    /// <param name="message">The message.</param>
    public PartialWriteException(string? message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message of its own and a cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public PartialWriteException(string? message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception for a write that got part of the way.</summary>
    /// <param name="cause">What the kernel reported; its <see cref="Exception.HResult"/> becomes this one's.</param>
    /// <param name="bytesWritten">Bytes that the kernel had taken before.</param>
    public PartialWriteException(IOException cause, long bytesWritten)
        : base($"{cause?.Message} {bytesWritten} bytes had been written.", cause)
    {
        ArgumentNullException.ThrowIfNull(cause);
        HResult = cause.HResult;
        BytesWritten = bytesWritten;
    }

    /// <summary>Bytes of the failed write that the kernel had already taken.</summary>
    public long BytesWritten { get; }
}
