using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>
/// The file that a listening Unix socket made by being bound to a path. It outlives the socket, and nobody can bind to the path again,
/// so whoever made it removes it; but never another's, which somebody may have put in its place.
/// </summary>
internal sealed class UnixSocketFile
{
    private readonly string _path;
    private readonly FileIdentity _identity;
    private readonly SystemCalls _systemCalls;

    private UnixSocketFile(string path, FileIdentity identity, SystemCalls systemCalls)
    {
        _path = path;
        _identity = identity;
        _systemCalls = systemCalls;
    }

    /// <summary>The path of an end point that has a file: not of an IP one, an abstract or an unnamed one.</summary>
    internal static string? PathOf(EndPoint endPoint)
    {
        if (endPoint is not UnixDomainSocketEndPoint)
        {
            return null;
        }

        // ToString shows an abstract name as @name, which could be a path as well.
        ReadOnlySpan<byte> path = SocketAddresses.ToBytes(endPoint).AsSpan(sizeof(ushort)).TrimEnd((byte)0);
        return path.IsEmpty || path[0] == 0 ? null : Encoding.UTF8.GetString(path);
    }

    /// <summary>
    /// To be called right after bind. Null if the file is gone already, or something else is there: there is nothing to remove.
    /// </summary>
    internal static UnixSocketFile? Remember(string path, SystemCalls systemCalls)
    {
        // The working directory may be another by the time of the removal.
        string fullPath = Path.GetFullPath(path);
        return systemCalls.Identify(fullPath, out FileIdentity identity).IsSuccess && identity.IsSocket
            ? new UnixSocketFile(fullPath, identity, systemCalls)
            : null;
    }

    /// <summary>
    /// Gives the file its permissions, also those that the umask has kept from it. Whoever may write to the directory can put something
    /// else in its place at any moment, a link to a file of ours for example. So it is done through a descriptor, which stays what it is,
    /// after a look at what that is.
    /// </summary>
    /// <returns>Otherwise ESTALE: the path leads to something else by now.</returns>
    internal SyscallResult SetMode(UnixFileMode mode)
    {
        SyscallResult opened = _systemCalls.Open(_path, LibC.O_PATH, 0);
        if (opened.IsError)
        {
            return opened;
        }

        SyscallResult result = _systemCalls.Identify(opened.Value, out FileIdentity found);
        if (result.IsSuccess)
        {
            // A descriptor that only stands for a path cannot be given to fchmod, but has a path of its own.
            result = found == _identity
                ? _systemCalls.Chmod($"/proc/self/fd/{opened.Value}", (uint)mode)
                : SyscallResult.Failure(Errno.ESTALE);
        }

        _systemCalls.Close(opened.Value);
        return result;
    }

    /// <summary>
    /// Removes a socket's file at the path of an end point if a connect says that nobody listens there. Anything else is left alone: a
    /// socket in use, one that may not be asked, a file that is no socket.
    /// </summary>
    /// <returns>Whether there is reason to bind again.</returns>
    internal static bool TryRemoveStale(string path, EndPoint endPoint, SystemCalls systemCalls)
    {
        if (systemCalls.Identify(path, out FileIdentity asked).IsError)
        {
            // Gone meanwhile.
            return true;
        }

        if (!asked.IsSocket)
        {
            return false;
        }

        SyscallResult created = systemCalls.Socket(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (created.IsError)
        {
            return false;
        }

        // A socket that is bound and about to listen refuses, too, and cannot be told from a stale one.
        SyscallResult connected = systemCalls.Connect(created.Value, SocketAddresses.ToBytes(endPoint));
        systemCalls.Close(created.Value);
        if (connected.Errno == Errno.ECONNREFUSED && systemCalls.Identify(path, out FileIdentity now).IsSuccess && now == asked)
        {
            return TryDelete(path);
        }

        return false;
    }

    /// <summary>Removes the file if it is still the one that was made. Failure is not worth more than a stale file.</summary>
    internal void Remove()
    {
        if (_systemCalls.Identify(_path, out FileIdentity now).IsError || now != _identity)
        {
            return;
        }

        TryDelete(_path);
    }

    // False: the directory is not ours to change, for example.
    private static bool TryDelete(string path)
    {
        try
        {
            File.Delete(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
