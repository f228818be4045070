using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Files;

// How descriptors become files.
//
//  what it is                    opened by us                taken from somebody, blocking          taken, non-blocking
//  ----------------------------  --------------------------  -------------------------------------  -------------------
//  regular, directory, block     blocking, thread pool       as it is, thread pool                  as it is, thread pool
//  epoll refuses it (EPERM)      blocking, thread pool       as it is, thread pool                  as it is, thread pool
//  pipe, terminal                polled                      opened again, polled; else next row    polled
//  anything else                 polled                      made non-blocking until Close, polled  polled
internal sealed partial class FileDescriptor
{
    /// <summary>Takes over a descriptor that nobody shares, and that was opened non-blocking.</summary>
    /// <exception cref="IOException">The kernel refuses to poll it. The descriptor is closed.</exception>
    internal static FileDescriptor Adopt(int fd, string path, FileAccess access, NetpollRuntime runtime)
    {
        var file = new FileDescriptor(fd, given: null, path, access, FileTraits.Of(fd, runtime.SystemCalls), runtime);
        FileNumbers.Process.Add(runtime.SystemCalls, fd, file._numberOwner);
        if (!file.TryRegister())
        {
            FileNumbers.ClearNonBlocking(runtime.SystemCalls, fd);
        }

        return file;
    }

    /// <summary>
    /// Takes over somebody's descriptor, on which the caller has added a reference for the file, and whose number it holds. Both are the
    /// file's from here on, however this ends.
    /// </summary>
    /// <exception cref="IOException">The kernel refuses. The handle is disposed of.</exception>
    internal static FileDescriptor Take(SafeFileHandle handle, string path, NetpollRuntime runtime)
    {
        SystemCalls systemCalls = runtime.SystemCalls;
        int fd = (int)handle.DangerousGetHandle();
        SyscallResult flags = systemCalls.GetFlags(fd);

        // O_PATH: it stands for a path, and cannot be read or written.
        Errno error = flags.IsError ? flags.Errno : (flags.Value & LibC.O_PATH) != 0 ? Errno.EBADF : Errno.Success;
        if (error != Errno.Success)
        {
            FileNumbers.Process.Remove(systemCalls, fd, handle);
            handle.DangerousRelease();
            handle.Dispose();
            throw SystemErrors.ToIOException(error, "fcntl", path);
        }

        FileAccess access = (flags.Value & LibC.O_ACCMODE) switch
        {
            LibC.O_RDONLY => FileAccess.Read,
            LibC.O_WRONLY => FileAccess.Write,
            _ => FileAccess.ReadWrite,
        };
        FileTraits traits = FileTraits.Of(fd, systemCalls);
        bool blocks = (flags.Value & LibC.O_NONBLOCK) == 0;
        SyscallResult reopened = blocks
            ? FileReopening.TryReopen(fd, flags.Value, traits, systemCalls)
            : SyscallResult.Failure(Errno.ENXIO);
        if (reopened.IsSuccess)
        {
            FileNumbers.Process.Add(systemCalls, reopened.Value, handle);
        }

        var file = new FileDescriptor(reopened.IsSuccess ? reopened.Value : fd, handle, path, access, traits, runtime);
        if (file.TryRegister() && reopened.IsError)
        {
            file.MakeNonBlocking();
        }

        return file;
    }

    // False: it is served on the thread pool.
    private bool TryRegister()
    {
        if (Traits.IsNeverPolled)
        {
            return false;
        }

        Errno error;
        try
        {
            error = Register(hangupWaiter: null);
        }
        catch
        {
            // The runtime has been disposed. The descriptor is ours already.
            Close();
            throw;
        }

        if (error is Errno.Success or Errno.EPERM)
        {
            return error == Errno.Success;
        }

        Close();
        throw SystemErrors.ToIOException(error, "epoll_ctl", Path);
    }

    // A descriptor that still blocks would stop a worker, so there is no going on without the flag. Also for one that is non-blocking
    // already: another file may have made it so, and must not undo it while this one is open.
    private void MakeNonBlocking()
    {
        SyscallResult set = FileNumbers.Process.SetNonBlocking(SystemCalls, Fd, Traits.Identity);
        if (set.IsError)
        {
            Close();
            throw SystemErrors.ToIOException(set.Errno, "fcntl", Path);
        }
    }
}
