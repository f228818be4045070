using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>The exceptions that an application sees for a failed system call on a connection.</summary>
internal static class SocketFailure
{
    /// <summary>
    /// A peer that is gone is a <see cref="ConnectionResetException"/>, which Kestrel expects and keeps quiet about; everything else
    /// stays the <see cref="SocketException"/> it is.
    /// </summary>
    internal static Exception From(Errno errno)
    {
        SocketException exception = SystemErrors.ToSocketException(errno);
        return errno is Errno.ECONNRESET or Errno.EPIPE ? new ConnectionResetException(exception.Message, exception) : exception;
    }

    /// <summary>The descriptor was closed on this side, and nobody gave a reason.</summary>
    internal static Exception Closed() => new ConnectionAbortedException();

    /// <summary>The kernel cannot signal readiness for this descriptor any more.</summary>
    internal static Exception NotPollable() => SystemErrors.ToSocketException(Errno.EIO);
}
