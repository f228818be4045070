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
/// changes as well, it is the same file. The youngest are asked first: a duplicate tends to be used soon after the original.
/// </para>
/// </remarks>
internal sealed class SharedOpenFiles
{
    private readonly Dictionary<(SystemCalls Kernel, FileIdentity Identity), AlikeFiles> _files = [];

    /// <summary>The open file behind a number, if another number has been made non-blocking that is one of its own.</summary>
    /// <param name="kernel">Whose number it is.</param>
    /// <param name="fd">The number.</param>
    /// <param name="identity">What fstat says of it.</param>
    internal OpenFile? Find(SystemCalls kernel, int fd, FileIdentity identity)
    {
        // Where the kernel has not let one be marked, what has no mark may be that one.
        if (!_files.TryGetValue((kernel, identity), out AlikeFiles? alike)
            || (alike.Unmarked == 0 && kernel.GetSignal(fd) is { IsSuccess: true, Value: 0 }))
        {
            return null;
        }

        SyscallResult flags = kernel.GetFlags(fd);
        if (flags.IsError || !Change(append: true))
        {
            return null;
        }

        LinkedListNode<OpenFile>? asked = alike.Files.Last;
        while (asked is not null && !asked.Value.Numbers.Exists(ChangesAsWell))
        {
            asked = asked.Previous;
        }

        Change(append: false);
        return asked?.Value;

        bool Change(bool append) => kernel.SetFlags(fd, append ? flags.Value ^ LibC.O_APPEND : flags.Value).IsSuccess;

        // A stranger may have closed a number, and it may be somebody else's by now, or nobody's. One that has the flag as it is now may
        // have had it so before.
        bool ChangesAsWell(int number)
        {
            if (!IsSet(number, flags.Value ^ LibC.O_APPEND))
            {
                return false;
            }

            Change(append: false);
            bool changesBack = IsSet(number, flags.Value);
            Change(append: true);
            return changesBack;
        }

        bool IsSet(int number, int expected) =>
            kernel.GetFlags(number) is { IsSuccess: true, Value: var now } && ((now ^ expected) & LibC.O_APPEND) == 0;
    }

    /// <summary>A number relies on an open file's being non-blocking: on one that was found, or on one more.</summary>
    internal OpenFile Join(SystemCalls kernel, int fd, FileIdentity identity, OpenFile? found)
    {
        if (found is null)
        {
            found = new OpenFile(kernel, identity);
            if (!_files.TryGetValue((kernel, identity), out AlikeFiles? alike))
            {
                _files[(kernel, identity)] = alike = new AlikeFiles();
            }

            alike.Files.AddLast(found.Node);
            Mark(kernel, fd, found);
            alike.Unmarked += found.HasMark ? 0 : 1;
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

        AlikeFiles alike = _files[(file.Kernel, file.Identity)];
        alike.Files.Remove(file.Node);
        alike.Unmarked -= file.HasMark ? 0 : 1;
        if (alike.Files.Count == 0)
        {
            _files.Remove((file.Kernel, file.Identity));
        }

        return true;
    }

    // One for which somebody has chosen a signal has a mark already.
    private static void Mark(SystemCalls kernel, int fd, OpenFile file)
    {
        SyscallResult chosen = kernel.GetSignal(fd);
        file.IsMarked = chosen is { IsSuccess: true, Value: 0 } && kernel.SetSignal(fd, LibC.SIGIO).IsSuccess;
        file.HasMark = file.IsMarked || chosen is { IsSuccess: true, Value: not 0 };
    }

    /// <summary>Those that have the same identity, and cannot be told from each other by it.</summary>
    private sealed class AlikeFiles
    {
        /// <summary>The youngest is the last one.</summary>
        internal LinkedList<OpenFile> Files { get; } = [];

        /// <summary>How many of them have no mark.</summary>
        internal int Unmarked { get; set; }
    }

    /// <summary>An open file; compared by reference.</summary>
    internal sealed class OpenFile
    {
        internal OpenFile(SystemCalls kernel, FileIdentity identity)
        {
            Kernel = kernel;
            Identity = identity;
            Node = new LinkedListNode<OpenFile>(this);
        }

        internal SystemCalls Kernel { get; }

        internal FileIdentity Identity { get; }

        /// <summary>Its place among those that have the same identity, which it leaves without a search.</summary>
        internal LinkedListNode<OpenFile> Node { get; }

        /// <summary>By us, and not because somebody has chosen a signal.</summary>
        internal bool IsMarked { get; set; }

        /// <summary>By us or by somebody. Otherwise the kernel has refused it.</summary>
        internal bool HasMark { get; set; }

        /// <summary>Never none, as long as anybody has it. Mostly one.</summary>
        internal List<int> Numbers { get; } = [];
    }
}
