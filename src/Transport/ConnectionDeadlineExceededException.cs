using KestrelNetpoll.Native;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport;

/// <summary>
/// The read deadline of a connection has passed (<see cref="IConnectionDeadlineFeature"/>). In spite of its base class, which Kestrel and
/// other readers of connections expect, the connection stays usable: move or clear the deadline and read on. Inside is a
/// <see cref="DeadlineExceededException"/>, also where others wrap this one: <see cref="Exception.GetBaseException"/> finds it.
/// </summary>
public sealed class ConnectionDeadlineExceededException : ConnectionAbortedException
{
    private const string DefaultMessage = "The read deadline of the connection has passed.";

    /// <summary>Creates the exception with the usual message and a <see cref="DeadlineExceededException"/> inside.</summary>
    public ConnectionDeadlineExceededException()
        : this(DefaultMessage)
    {
    }

    /// <summary>Creates the exception with a message of its own and a <see cref="DeadlineExceededException"/> inside.</summary>
    /// <param name="message">The message.</param>
    public ConnectionDeadlineExceededException(string message)
        : this(message, new DeadlineExceededException())
    {
    }

    /// <summary>Creates the exception with a message and a cause of its own.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public ConnectionDeadlineExceededException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
