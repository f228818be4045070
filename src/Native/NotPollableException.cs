namespace KestrelNetpoll.Native;

/// <summary>
/// The file can never signal that it is ready, so waiting for it would last for ever: a device that reports nothing but an error, such as
/// <c>/dev/net/tun</c> before it was attached to an interface, or <c>/dev/fuse</c> before it was mounted.
/// </summary>
public sealed class NotPollableException : IOException
{
    private const string DefaultMessage = "The file cannot signal readiness: the kernel reports an error for it and nothing else.";

    /// <summary>Creates the exception.</summary>
    public NotPollableException()
        : base(DefaultMessage)
    {
    }

    /// <summary>Creates the exception with a message of its own.</summary>
    /// <param name="message">The message.</param>
    public NotPollableException(string? message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message of its own and a cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause: what the system call itself answered.</param>
    public NotPollableException(string? message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
