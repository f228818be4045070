using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>Turns an errno into the exception that .NET code expects, with the C library's own words in the message.</summary>
internal static class SystemErrors
{
    /// <param name="errno">Why the call failed.</param>
    /// <param name="operation">What failed, as the man page calls it.</param>
    /// <param name="path">The file it was about, if there is one.</param>
    internal static IOException ToIOException(Errno errno, string operation, string? path = null)
    {
        string text = Describe(errno);
        string message = path is null ? $"{operation}: {text}" : $"{operation} '{path}': {text}";
        return errno switch
        {
            Errno.ENOENT => new FileNotFoundException(message, path),
            Errno.ENAMETOOLONG => new PathTooLongException(message),

            // As System.IO does on Unix: the errno travels in HResult.
            _ => new IOException(message, (int)errno),
        };
    }

    /// <summary>
    /// The number that <see cref="SocketException"/> takes is a <see cref="SocketError"/> on every platform, so errno has to be
    /// translated. One without a counterpart keeps its text. If a socket's calls are known for it, it becomes its next relative. Otherwise
    /// it becomes <see cref="SocketError.SocketError"/>, which shows as a number that says nothing (0xFFFDFFFE).
    /// </summary>
    /// <param name="errno">Why the call failed.</param>
    /// <param name="operation">What failed and on what; null when the caller's caller knows.</param>
    internal static SocketException ToSocketException(Errno errno, string? operation = null) =>
        new((int)ToSocketError(errno), operation is null ? Describe(errno) : $"{operation}: {Describe(errno)}");

    internal static SocketError ToSocketError(Errno errno) => errno switch
    {
        Errno.Success => SocketError.Success,
        Errno.EACCES or Errno.EPERM => SocketError.AccessDenied,
        Errno.EADDRINUSE => SocketError.AddressAlreadyInUse,
        Errno.EADDRNOTAVAIL => SocketError.AddressNotAvailable,

        // The runtime has it so for ENOENT: the path of a Unix socket leads nowhere.
        Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP or Errno.ENAMETOOLONG or Errno.ESTALE => SocketError.AddressNotAvailable,
        Errno.EROFS => SocketError.AccessDenied,
        Errno.EAFNOSUPPORT => SocketError.AddressFamilyNotSupported,
        Errno.EAGAIN => SocketError.WouldBlock,
        Errno.EALREADY => SocketError.AlreadyInProgress,
        Errno.EBADF or Errno.ECANCELED => SocketError.OperationAborted,
        Errno.ECONNABORTED => SocketError.ConnectionAborted,
        Errno.ECONNREFUSED => SocketError.ConnectionRefused,
        Errno.ECONNRESET => SocketError.ConnectionReset,
        Errno.EDESTADDRREQ => SocketError.DestinationAddressRequired,
        Errno.EFAULT => SocketError.Fault,
        Errno.EHOSTDOWN => SocketError.HostDown,
        Errno.EHOSTUNREACH => SocketError.HostUnreachable,
        Errno.EINPROGRESS => SocketError.InProgress,
        Errno.EINTR => SocketError.Interrupted,
        Errno.EINVAL => SocketError.InvalidArgument,
        Errno.EISCONN => SocketError.IsConnected,
        Errno.EMFILE or Errno.ENFILE => SocketError.TooManyOpenSockets,
        Errno.EMSGSIZE => SocketError.MessageSize,
        Errno.ENETDOWN => SocketError.NetworkDown,
        Errno.ENETRESET => SocketError.NetworkReset,
        Errno.ENETUNREACH => SocketError.NetworkUnreachable,
        Errno.ENOBUFS or Errno.ENOMEM or Errno.ENOSPC or Errno.EDQUOT or Errno.ENOSR => SocketError.NoBufferSpaceAvailable,
        Errno.ENONET or Errno.ENODEV => SocketError.NetworkDown,
        Errno.EPROTO => SocketError.ConnectionAborted,
        Errno.EIO => SocketError.Fault,
        Errno.ENOSYS => SocketError.OperationNotSupported,
        Errno.ENOPROTOOPT => SocketError.ProtocolOption,
        Errno.ENOTCONN => SocketError.NotConnected,
        Errno.ENOTSOCK => SocketError.NotSocket,
        Errno.EOPNOTSUPP => SocketError.OperationNotSupported,
        Errno.EPFNOSUPPORT => SocketError.ProtocolFamilyNotSupported,
        Errno.EPIPE or Errno.ESHUTDOWN => SocketError.Shutdown,
        Errno.EPROTONOSUPPORT => SocketError.ProtocolNotSupported,
        Errno.EPROTOTYPE => SocketError.ProtocolType,
        Errno.ESOCKTNOSUPPORT => SocketError.SocketNotSupported,
        Errno.ETIMEDOUT => SocketError.TimedOut,
        _ => SocketError.SocketError,
    };

    private static string Describe(Errno errno) => $"{Marshal.GetPInvokeErrorMessage((int)errno)} ({errno})";
}
