using KestrelNetpoll.Native;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport;

/// <summary>
/// The deadlines of a connection: a feature of every connection that the netpoll transport serves. A <see cref="ConnectionHandler"/> and
/// connection middleware find it in the connection's features, a request in <c>HttpContext.Features</c>, where it is that of the
/// whole connection, also with HTTP/2.
/// </summary>
/// <remarks>
/// <para>A deadline is a point in time and not a timeout that begins anew with each operation: it stays in force until it is moved or
/// cleared, and one that has passed fails every operation at once, even if bytes are there. There is one for each direction; null means
/// none. It never fires early. How late it may fire: as soon as a worker is free, usually within a millisecond.</para>
/// <para>Reads of a connection whose deadline has passed throw a <see cref="ConnectionDeadlineExceededException"/>. No byte is lost: move
/// the deadline and read on. Kestrel, if it is the one who reads, closes the connection and logs at Debug. Within a request body it is
/// the application that reads, and gets the exception in one of Kestrel's: an <see cref="OperationCanceledException"/>, or, with TLS, an
/// <see cref="IOException"/>. The base exception is a <see cref="DeadlineExceededException"/> in each case.</para>
/// <para>A write deadline bounds what waits for the peer: a flush that is incomplete, a flush that begins later, and the last bytes when
/// the connection ends. It ends the connection with RST: what has been sent by then is a fragment, after which nothing can follow. As
/// whenever a connection has been aborted, flushes say that they are completed, and reads throw a
/// <see cref="ConnectionAbortedException"/>, here with a <see cref="DeadlineExceededException"/> inside.</para>
/// <para>Thread-safe. After the end of the connection, or for reads after the reader was completed, nothing happens. A connection that
/// never has a deadline pays nothing for it.</para>
/// </remarks>
public interface IConnectionDeadlineFeature
{
    /// <summary>Sets the deadline of reads, the one that is waiting included.</summary>
    /// <param name="deadline">
    /// When they fail; null for never; a point in the past for at once. Measured on the monotonic clock from now on: setting the
    /// system's clock later does not move it.
    /// </param>
    void SetReadDeadline(DateTimeOffset? deadline);

    /// <summary>Sets the deadline of reads, the one that is waiting included.</summary>
    /// <param name="fromNow">
    /// How long from now they fail; zero or less for at once; <see cref="Timeout.InfiniteTimeSpan"/> for never.
    /// </param>
    void SetReadDeadline(TimeSpan fromNow);

    /// <summary>Sets the deadline of writes, the flush that is waiting included.</summary>
    /// <param name="deadline">As for reads.</param>
    void SetWriteDeadline(DateTimeOffset? deadline);

    /// <summary>Sets the deadline of writes, the flush that is waiting included.</summary>
    /// <param name="fromNow">As for reads.</param>
    void SetWriteDeadline(TimeSpan fromNow);

    /// <summary>Sets both deadlines.</summary>
    /// <param name="deadline">As for reads.</param>
    void SetDeadline(DateTimeOffset? deadline);

    /// <summary>Sets both deadlines.</summary>
    /// <param name="fromNow">As for reads.</param>
    void SetDeadline(TimeSpan fromNow);
}
