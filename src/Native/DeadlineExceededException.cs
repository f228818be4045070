namespace KestrelNetpoll.Native;

/// <summary>
/// A read or write did not finish before its deadline, or was started after it. The file stays usable: move or clear the deadline and
/// go on.
/// </summary>
public sealed class DeadlineExceededException : TimeoutException
{
    private const string DefaultMessage = "The deadline of this operation has passed.";

    /// <summary>Creates the exception for an operation that moved no bytes.</summary>
    public DeadlineExceededException()
        : this(0)
    {
    }

    /// <summary>Creates the exception with a message of its own.</summary>
    /// <param name="message">The message.</param>
    public DeadlineExceededException(string? message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message of its own and a cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public DeadlineExceededException(string? message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception for a write that got part of the way.</summary>
    /// <param name="bytesWritten">Bytes that the kernel had taken when the deadline passed.</param>
    public DeadlineExceededException(long bytesWritten)
        : base(bytesWritten == 0 ? DefaultMessage : $"{DefaultMessage} {bytesWritten} bytes had been written.") =>
        BytesWritten = bytesWritten;

    /// <summary>Bytes of the failed write that the kernel had already taken; 0 for reads.</summary>
    public long BytesWritten { get; }
}
