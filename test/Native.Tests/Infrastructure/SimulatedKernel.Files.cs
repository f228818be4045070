using System.Buffers.Binary;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

// Files and sockets. What is not here reaches the real kernel with a number that it does not know: EBADF.
internal sealed partial class SimulatedKernel
{
    /// <summary>Runs for every file that the engine opens, so that a test can script it before it is registered.</summary>
    internal Action<SimulatedFile>? OnOpened { get; set; }

    /// <summary>What getpeername says of every socket: ENOTCONN until it is connected.</summary>
    internal Errno PeerNameError { get; set; }

    /// <summary>Writes to numbers that were not open.</summary>
    internal int WritesToClosed { get; private set; }

    /// <summary>What SO_ERROR says of every socket.</summary>
    internal Errno SocketError { get; set; }

    /// <summary>A file that the test hands to the engine itself.</summary>
    internal SimulatedFile Create(string path = "simulated")
    {
        SimulatedFile file;
        lock (_gate)
        {
            file = new SimulatedFile(NextDescriptor(), path);
            _files.Add(file.Fd, file);
        }

        OnOpened?.Invoke(file);
        return file;
    }

    /// <summary>The open file with this path.</summary>
    internal SimulatedFile Find(string path)
    {
        lock (_gate)
        {
            return _files.Values.Single(file => file.Path == path);
        }
    }

    /// <summary>Changes a file's script while the engine may be reading it.</summary>
    internal void Change(SimulatedFile file, Action<SimulatedFile> change)
    {
        lock (_gate)
        {
            change(file);
        }
    }

    protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) =>
        SyscallResult.Success(Create(path).Fd);

    protected internal override SyscallResult SocketOnce(int domain, int type, int protocol) =>
        SyscallResult.Success(Create("socket").Fd);

    protected internal override SyscallResult ConnectOnce(int fd, ReadOnlySpan<byte> address) =>
        SyscallResult.Failure(Errno.EINPROGRESS);

    protected internal override SyscallResult GetSockOptOnce(int fd, int level, int option, out int value)
    {
        value = (int)SocketError;
        return SyscallResult.Success(0);
    }

    protected internal override SyscallResult GetPeerNameOnce(int fd, Span<byte> address, out int addressLength)
    {
        addressLength = 0;
        return PeerNameError == Errno.Success ? SyscallResult.Success(0) : SyscallResult.Failure(PeerNameError);
    }

    protected internal override SyscallResult GetFlagsOnce(int fd) => WithFile(fd, file => SyscallResult.Success(file.Flags));

    protected internal override SyscallResult SetFlagsOnce(int fd, int flags) => WithFile(fd, file =>
    {
        file.Flags = flags;
        return SyscallResult.Success(0);
    });

    protected internal override SyscallResult StatusOnce(int directory, string path, int flags, out FileStatus status)
    {
        status = default;
        return WithFile(directory, static _ => SyscallResult.Success(0));
    }

    protected internal override SyscallResult SetLingerOnce(int fd, bool on, int seconds) => SyscallResult.Success(0);

    protected internal override SyscallResult ShutdownOnce(int fd, int how) => SyscallResult.Success(0);

    protected internal override SyscallResult RecvOnce(int fd, Span<byte> buffer, int flags) => ReadOnce(fd, buffer);

    protected internal override SyscallResult SendOnce(int fd, ReadOnlySpan<byte> buffer, int flags) => WriteOnce(fd, buffer);

    protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer)
    {
        lock (_gate)
        {
            if (!_eventFds.TryGetValue(fd, out ulong counter))
            {
                return _files.TryGetValue(fd, out SimulatedFile? file) ? file.Read(buffer) : SyscallResult.Failure(Errno.EBADF);
            }

            EventFdReads++;
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, counter);
            _eventFds[fd] = 0;
            return counter == 0 ? SyscallResult.Failure(Errno.EAGAIN) : SyscallResult.Success(sizeof(ulong));
        }
    }

    protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer)
    {
        lock (_gate)
        {
            if (_files.TryGetValue(fd, out SimulatedFile? file))
            {
                return file.Write(buffer.Length);
            }

            if (!_eventFds.TryGetValue(fd, out ulong counter))
            {
                WritesToClosed++;
                return SyscallResult.Failure(Errno.EBADF);
            }

            EventFdWrites++;
            _eventFds[fd] = counter + BinaryPrimitives.ReadUInt64LittleEndian(buffer);
            RaiseLocked(fd, LibC.EPOLLIN);
            return SyscallResult.Success(sizeof(ulong));
        }
    }

    protected internal override SyscallResult CloseOnce(int fd)
    {
        lock (_gate)
        {
            if (_files.Remove(fd, out SimulatedFile? file))
            {
                file.IsClosed = true;
                return SyscallResult.Success(0);
            }

            return _eventFds.Remove(fd) || _epolls.Remove(fd) ? SyscallResult.Success(0) : SyscallResult.Failure(Errno.EBADF);
        }
    }

    private SyscallResult WithFile(int fd, Func<SimulatedFile, SyscallResult> answer)
    {
        lock (_gate)
        {
            return _files.TryGetValue(fd, out SimulatedFile? file) ? answer(file) : SyscallResult.Failure(Errno.EBADF);
        }
    }
}
