using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

public sealed class SystemErrorsTests
{
    [Fact]
    public void Socket_exceptions_carry_the_code_that_callers_filter_on()
    {
        (Errno Errno, SocketError Error)[] expected =
        [
            (Errno.EADDRINUSE, SocketError.AddressAlreadyInUse),
            (Errno.EADDRNOTAVAIL, SocketError.AddressNotAvailable),
            (Errno.EACCES, SocketError.AccessDenied),
            (Errno.ECONNRESET, SocketError.ConnectionReset),
            (Errno.EMFILE, SocketError.TooManyOpenSockets),
            (Errno.EPIPE, SocketError.Shutdown),
            (Errno.ENOENT, SocketError.AddressNotAvailable),
            (Errno.EROFS, SocketError.AccessDenied),
            (Errno.ENOSPC, SocketError.NoBufferSpaceAvailable),
            (Errno.EXFULL, SocketError.SocketError),
        ];

        foreach ((Errno errno, SocketError error) in expected)
        {
            SocketException exception = SystemErrors.ToSocketException(errno);

            Assert.Equal(error, exception.SocketErrorCode);
            Assert.Contains(errno.ToString(), exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Socket_errors_are_the_ones_that_the_runtime_reports()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        listener.Listen();
        using Socket second = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        SocketException theirs = Assert.Throws<SocketException>(() => second.Bind(listener.LocalEndPoint!));

        Assert.Equal(theirs.SocketErrorCode, SystemErrors.ToSocketException(Errno.EADDRINUSE).SocketErrorCode);
        Assert.Equal(theirs.NativeErrorCode, SystemErrors.ToSocketException(Errno.EADDRINUSE).NativeErrorCode);
    }

    /// <summary>
    /// From the man pages of socket, bind, listen, accept, setsockopt, fcntl, epoll_ctl and fchmod. Without a counterpart it is negative.
    /// </summary>
    [Theory]
    [InlineData(nameof(Errno.EACCES))]
    [InlineData(nameof(Errno.EADDRINUSE))]
    [InlineData(nameof(Errno.EADDRNOTAVAIL))]
    [InlineData(nameof(Errno.EAFNOSUPPORT))]
    [InlineData(nameof(Errno.EBADF))]
    [InlineData(nameof(Errno.EDQUOT))]
    [InlineData(nameof(Errno.EFAULT))]
    [InlineData(nameof(Errno.EINVAL))]
    [InlineData(nameof(Errno.EIO))]
    [InlineData(nameof(Errno.ELOOP))]
    [InlineData(nameof(Errno.EMFILE))]
    [InlineData(nameof(Errno.ENAMETOOLONG))]
    [InlineData(nameof(Errno.ENFILE))]
    [InlineData(nameof(Errno.ENOBUFS))]
    [InlineData(nameof(Errno.ENODEV))]
    [InlineData(nameof(Errno.ENOENT))]
    [InlineData(nameof(Errno.ENOMEM))]
    [InlineData(nameof(Errno.ENONET))]
    [InlineData(nameof(Errno.ENOPROTOOPT))]
    [InlineData(nameof(Errno.ENOSPC))]
    [InlineData(nameof(Errno.ENOSR))]
    [InlineData(nameof(Errno.ENOSYS))]
    [InlineData(nameof(Errno.ENOTDIR))]
    [InlineData(nameof(Errno.ENOTSOCK))]
    [InlineData(nameof(Errno.EOPNOTSUPP))]
    [InlineData(nameof(Errno.EPERM))]
    [InlineData(nameof(Errno.EPROTO))]
    [InlineData(nameof(Errno.EPROTONOSUPPORT))]
    [InlineData(nameof(Errno.EROFS))]
    [InlineData(nameof(Errno.ESOCKTNOSUPPORT))]
    public void What_a_sockets_calls_are_known_for_has_a_code_that_says_something(string errno)
    {
        SocketException exception = SystemErrors.ToSocketException(Enum.Parse<Errno>(errno), "bind");

        Assert.NotEqual(SocketError.SocketError, exception.SocketErrorCode);
        Assert.True(exception.NativeErrorCode > 0, exception.ToString());
    }

    [Fact]
    public void Io_exceptions_say_what_failed_on_which_file()
    {
        IOException exception = SystemErrors.ToIOException(Errno.EBUSY, "open", "/dev/net/tun");

        Assert.Equal("open '/dev/net/tun': Device or resource busy (EBUSY)", exception.Message);
        Assert.Equal((int)Errno.EBUSY, exception.HResult);
        Assert.StartsWith("write: ", SystemErrors.ToIOException(Errno.EPIPE, "write").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_a_FileNotFoundException()
    {
        FileNotFoundException exception = Assert.IsType<FileNotFoundException>(SystemErrors.ToIOException(Errno.ENOENT, "open", "/none"));

        Assert.Equal("/none", exception.FileName);
        Assert.IsType<PathTooLongException>(SystemErrors.ToIOException(Errno.ENAMETOOLONG, "open", "/long"));
    }
}
