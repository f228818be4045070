using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// The open files that were made non-blocking here, and the numbers that rely on it: descriptors of one open file share its flags. Which do
/// is found out when a number comes, and remembered, so that giving it back costs nothing, however many there are. Not thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// The kernel tells nobody (kcmp needs rights), and the identity does not: both ends of a pipe have the same, and so has whatever has no
/// name at all. So each is marked, with the signal that it would send if anybody wanted one: SIGIO is chosen, which it is without a choice
/// as well. What has no mark is none of them, and costs one call, however many there are.
/// </para>
/// <para>
/// Which of them it is, if there is a mark, a flag tells that means nothing for what can be polled. It is changed for a moment: where it
/// changes as well, it is the same file.
/// </para>
/// </remarks>
internal sealed class SharedOpenFiles
{
    private readonly Dictionary<(SystemCalls Kernel, FileIdentity Identity), HashSet<OpenFile>> _files = [];

    // The kernel has not let one be marked: what has no mark may be one of them all the same.
    private bool _marksFail;

    /// <summary>The open file behind a number, if another number has been made non-blocking that is one of its own.</summary>
    /// <param name="kernel">Whose number it is.</param>
    /// <param name="fd">The number.</param>
    /// <param name="identity">What fstat says of it.</param>
    internal OpenFile? Find(SystemCalls kernel, int fd, FileIdentity identity)
    {
        if (!_files.TryGetValue((kernel, identity), out HashSet<OpenFile>? files)
            || (!_marksFail && kernel.GetSignal(fd) is { IsSuccess: true, Value: 0 }))
        {
            return null;
        }

        SyscallResult flags = kernel.GetFlags(fd);
        if (flags.IsError)
        {
            return null;
        }

        // All of its numbers, mostly one: a stranger may have closed some, and they may be somebody else's by now.
        List<(OpenFile File, int Number)> alike =
        [
            .. files
                .SelectMany(static file => file.Numbers.Select(number => (file, number)))
                .Where(one => Appends(one.number) == (flags.Value & LibC.O_APPEND)),
        ];
        if (alike.Count == 0 || kernel.SetFlags(fd, flags.Value ^ LibC.O_APPEND).IsError)
        {
            return null;
        }

        int changed = (flags.Value ^ LibC.O_APPEND) & LibC.O_APPEND;
        OpenFile? found = alike.Find(one => Appends(one.Number) == changed).File;
        kernel.SetFlags(fd, flags.Value);
        return found;

        // Null if it is not open any more.
        int? Appends(int number)
        {
            SyscallResult result = kernel.GetFlags(number);
            return result.IsSuccess ? result.Value & LibC.O_APPEND : null;
        }
    }

    /// <summary>A number relies on an open file's being non-blocking: on one that was found, or on one more.</summary>
    internal OpenFile Join(SystemCalls kernel, int fd, FileIdentity identity, OpenFile? found)
    {
        if (found is null)
        {
            found = new OpenFile(kernel, identity);
            if (!_files.TryGetValue((kernel, identity), out HashSet<OpenFile>? files))
            {
                _files[(kernel, identity)] = files = [];
            }

            files.Add(found);
            Mark(kernel, fd, found);
        }

        found.Numbers.Add(fd);
        return found;
    }

    /// <summary>Takes the mark off an open file, for the last number that relied on it.</summary>
    internal static void Unmark(SystemCalls kernel, int fd, OpenFile file)
    {
        // Unless somebody has chosen another one meanwhile.
        if (file.IsMarked && kernel.GetSignal(fd) is { IsSuccess: true } chosen && chosen.Value == LibC.SIGIO)
        {
            kernel.SetSignal(fd, 0);
        }
    }

    /// <summary>A number does so no longer. True: it was the last one of the open file.</summary>
    internal bool Leave(OpenFile file, int fd)
    {
        file.Numbers.Remove(fd);
        if (file.Numbers.Count != 0)
        {
            return false;
        }

        HashSet<OpenFile> files = _files[(file.Kernel, file.Identity)];
        files.Remove(file);
        if (files.Count == 0)
        {
            _files.Remove((file.Kernel, file.Identity));
        }

        return true;
    }

    // One for which somebody has chosen a signal has a mark already.
    private void Mark(SystemCalls kernel, int fd, OpenFile file)
    {
        SyscallResult chosen = kernel.GetSignal(fd);
        if (chosen.IsSuccess && chosen.Value != 0)
        {
            return;
        }

        file.IsMarked = chosen.IsSuccess && kernel.SetSignal(fd, LibC.SIGIO).IsSuccess;
        _marksFail |= !file.IsMarked;
    }

    /// <summary>An open file; compared by reference.</summary>
    internal sealed class OpenFile(SystemCalls kernel, FileIdentity identity)
    {
        internal SystemCalls Kernel { get; } = kernel;

        internal FileIdentity Identity { get; } = identity;

        /// <summary>By us, and not because somebody has chosen a signal.</summary>
        internal bool IsMarked { get; set; }

        /// <summary>Never none, as long as anybody has it. Mostly one.</summary>
        internal List<int> Numbers { get; } = [];
    }
}
