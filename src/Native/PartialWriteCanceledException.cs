namespace KestrelNetpoll.Native;

/// <summary>
/// A write was cancelled after the kernel had taken part of it. A write that is cancelled before that throws an ordinary
/// <see cref="OperationCanceledException"/>.
/// </summary>
public sealed class PartialWriteCanceledException : OperationCanceledException
{
    /// <summary>Creates the exception without a count.</summary>
    public PartialWriteCanceledException()
    {
    }

    /// <summary>Creates the exception with a message of its own.</summary>
    /// <param name="message">The message.</param>
    public PartialWriteCanceledException(string? message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message of its own and a cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public PartialWriteCanceledException(string? message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception for a write that got part of the way.</summary>
    /// <param name="bytesWritten">Bytes that the kernel had taken before.</param>
    /// <param name="cancellationToken">The token that cancelled it.</param>
    public PartialWriteCanceledException(long bytesWritten, CancellationToken cancellationToken)
        : base($"The write was cancelled. {bytesWritten} bytes had been written.", cancellationToken) =>
        BytesWritten = bytesWritten;

    /// <summary>Bytes of the cancelled write that the kernel had already taken.</summary>
    public long BytesWritten { get; }
}
