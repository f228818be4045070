using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Files;

// Whose the number is, and how it is given back.
internal sealed partial class FileDescriptor
{
    /// <summary>
    /// The object that callers hold. An operation that is under way reaches it from here. Otherwise a file could be collected, and so
    /// closed, to which nobody refers but the operation.
    /// </summary>
    internal object? Owner { get; set; }

    // Guards _shown while it is made.
    private readonly Lock _handleLock = new();

    // What the file was made from, with a reference of ours. It closes its number itself, if it owns it and nobody else uses it.
    private readonly SafeFileHandle? _given;

    // What the file's numbers are held, and given back, with.
    private readonly object _numberOwner;

    // The handle that callers get to see, with a reference of ours. Closes the number in our place once it is there.
    private SafeFileHandle? _shown;

    // At the end: the number is a stranger's. Written and read by the last user.
    private bool _hasLostNumber;

    /// <summary>Is the number that of the handle the file was made from?</summary>
    private bool IsGiven => _given is { } given && (int)given.DangerousGetHandle() == Fd;

    /// <summary>A handle for the descriptor, the same one each time. Whoever holds a reference on it keeps the number from being
    /// closed.</summary>
    internal SafeFileHandle GetHandle()
    {
        if (!Lifetime.TryAddReference())
        {
            throw ClosedException();
        }

        try
        {
            lock (_handleLock)
            {
                if (_shown is null)
                {
                    SafeFileHandle shown = IsGiven ? _given! : new SafeFileHandle(Fd, ownsHandle: true);
                    bool added = false;
                    shown.DangerousAddRef(ref added);
                    _shown = shown;
                    FileNumbers.Process.SetHandle(SystemCalls, Fd, _shown);
                }

                return _shown;
            }
        }
        finally
        {
            ReleaseReference();
        }
    }

    /// <inheritdoc/>
    protected override bool KeepsNumber()
    {
        _hasLostNumber = HasLost(Fd);
        return !_hasLostNumber;
    }

    /// <inheritdoc/>
    protected override void CloseNumber()
    {
        _watch?.Close();
        FileNumbers.Process.Remove(SystemCalls, Fd, _numberOwner, undo: !_hasLostNumber);
        if (_shown is not null)
        {
            GiveBack(_shown, _hasLostNumber);
        }
        else if (!IsGiven && !_hasLostNumber)
        {
            SystemCalls.Close(Fd);
        }

        if (_given is not null)
        {
            int number = (int)_given.DangerousGetHandle();
            bool lost = number == Fd ? _hasLostNumber : HasLost(number);
            FileNumbers.Process.Remove(SystemCalls, number, _numberOwner, undo: !lost);
            GiveBack(_given, lost);
        }
    }

    // A number that is not the file's any more must not be closed in its name.
    private static void GiveBack(SafeFileHandle handle, bool lost)
    {
        if (lost)
        {
            handle.SetHandleAsInvalid();
        }

        handle.DangerousRelease();
        handle.Dispose();
    }

    // Has a stranger closed the number, and the kernel given it out again? Another file of ours is known. Otherwise fstat tells; not
    // between two things that have no name (eventfd and its like), nor two openings of one file. A regular file's identity may change while
    // it is open (overlays), its type may not.
    private bool HasLost(int fd)
    {
        if (!FileNumbers.Process.IsHeldBy(SystemCalls, fd, _numberOwner))
        {
            return true;
        }

        SyscallResult asked = SystemCalls.GetStatus(fd, out FileStatus status);
        if (asked.IsError)
        {
            return asked.Errno == Errno.EBADF;
        }

        return status.Type != Traits.Identity.Type || (!Traits.IsNeverPolled && status.Identity != Traits.Identity);
    }
}
