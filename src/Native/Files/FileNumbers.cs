using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// The descriptor numbers that files hold, and what is to be undone when they give them back: O_NONBLOCK belongs to the open file, which
/// other descriptors may share, in this process and in others. It comes off when the last file that relies on it is closed, or the process
/// ends. Thread-safe.
/// </summary>
internal sealed class FileNumbers
{
    // Guards the table, and the flags of open files that are shared, from looking at it to changing them.
    private readonly Lock _lock = new();

    private readonly Dictionary<(SystemCalls Kernel, int Fd), Entry> _entries = [];
    private readonly SharedOpenFiles _nonBlocking = new();

    /// <summary>The process's, as descriptor numbers are.</summary>
    internal static FileNumbers Process { get; } = CreateForProcess();

    /// <summary>Holds a number that the kernel has just given out, for whoever shows the same owner to give it back.</summary>
    internal void Add(SystemCalls kernel, int fd, object owner)
    {
        lock (_lock)
        {
            // One that is there already was closed by a stranger.
            if (_entries.Remove((kernel, fd), out Entry former) && former.NonBlocking is { } file)
            {
                _nonBlocking.Leave(file, fd);
            }

            _entries[(kernel, fd)] = new Entry { Owner = owner };
        }
    }

    /// <summary>Holds a number that somebody else opened; the handle is its owner. False: a file has it already.</summary>
    internal bool TryAdd(SystemCalls kernel, int fd, SafeFileHandle handle)
    {
        lock (_lock)
        {
            return _entries.TryAdd((kernel, fd), new Entry { Owner = handle, Handle = handle });
        }
    }

    /// <summary>The handle that a file shows, so that it is known when it comes back.</summary>
    internal void SetHandle(SystemCalls kernel, int fd, SafeFileHandle handle)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue((kernel, fd), out Entry entry))
            {
                _entries[(kernel, fd)] = entry with { Handle = handle };
            }
        }
    }

    /// <summary>Is this very handle a file's own?</summary>
    internal bool IsOwn(SystemCalls kernel, int fd, SafeFileHandle handle)
    {
        lock (_lock)
        {
            return _entries.TryGetValue((kernel, fd), out Entry entry) && ReferenceEquals(entry.Handle, handle);
        }
    }

    /// <summary>Makes an open file non-blocking that others may share, until <see cref="Remove"/>.</summary>
    internal SyscallResult SetNonBlocking(SystemCalls kernel, int fd, FileIdentity identity)
    {
        lock (_lock)
        {
            SyscallResult flags = kernel.GetFlags(fd);
            if (flags.IsError)
            {
                return flags;
            }

            // Also one that blocks: a stranger may have made it so meanwhile.
            SharedOpenFiles.OpenFile? shared = _nonBlocking.Find(kernel, fd, identity);
            if ((flags.Value & LibC.O_NONBLOCK) == 0)
            {
                flags = kernel.SetFlags(fd, flags.Value | LibC.O_NONBLOCK);
            }
            else if (shared is null)
            {
                // Its owner wants it so.
                return flags;
            }

            if (flags.IsSuccess && _entries.TryGetValue((kernel, fd), out Entry entry) && entry.NonBlocking is null)
            {
                _entries[(kernel, fd)] = entry with { NonBlocking = _nonBlocking.Join(kernel, fd, identity, shared) };
            }

            return flags;
        }
    }

    /// <summary>Does that owner hold the number? Not if a stranger has closed it and it is another file's by now.</summary>
    internal bool IsHeldBy(SystemCalls kernel, int fd, object owner)
    {
        lock (_lock)
        {
            return _entries.TryGetValue((kernel, fd), out Entry entry) && ReferenceEquals(entry.Owner, owner);
        }
    }

    /// <summary>Gives a number back, before it is closed. Does nothing if a stranger has closed it and it is another file's by
    /// now.</summary>
    /// <param name="kernel">Whose number it is.</param>
    /// <param name="fd">The number.</param>
    /// <param name="owner">Who holds it.</param>
    /// <param name="undo">False: the number is a stranger's by now, and so are the flags.</param>
    internal void Remove(SystemCalls kernel, int fd, object owner, bool undo = true)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue((kernel, fd), out Entry entry)
                && ReferenceEquals(entry.Owner, owner)
                && _entries.Remove((kernel, fd))
                && entry.NonBlocking is { } file
                && _nonBlocking.Leave(file, fd)
                && undo)
            {
                Undo(kernel, fd, file);
            }
        }
    }

    /// <summary>
    /// Undoes everything, for files that nobody will close any more. Who still uses one of these, in the last moments of the process, may
    /// block his thread.
    /// </summary>
    internal void RestoreAll()
    {
        lock (_lock)
        {
            foreach (((SystemCalls kernel, int fd), Entry entry) in _entries)
            {
                if (entry.NonBlocking is { } file)
                {
                    Undo(kernel, fd, file);
                }
            }
        }
    }

    internal static void ClearNonBlocking(SystemCalls kernel, int fd)
    {
        SyscallResult flags = kernel.GetFlags(fd);
        if (flags.IsSuccess && (flags.Value & LibC.O_NONBLOCK) != 0)
        {
            kernel.SetFlags(fd, flags.Value & ~LibC.O_NONBLOCK);
        }
    }

    private static void Undo(SystemCalls kernel, int fd, SharedOpenFiles.OpenFile file)
    {
        ClearNonBlocking(kernel, fd);
        SharedOpenFiles.Unmark(kernel, fd, file);
    }

    private static FileNumbers CreateForProcess()
    {
        FileNumbers numbers = new();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => numbers.RestoreAll();
        return numbers;
    }

    private readonly record struct Entry
    {
        internal object? Owner { get; init; }

        internal SafeFileHandle? Handle { get; init; }

        /// <summary>Which open file this one made non-blocking, or relies on another to have done so.</summary>
        internal SharedOpenFiles.OpenFile? NonBlocking { get; init; }
    }
}
