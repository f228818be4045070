using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// Small text files that the kernel makes up (<c>/proc</c>, control groups). Without <see cref="File"/>, which locks, asks for the size and
/// throws: what cannot be read is an answer here. Not thread-safe.
/// </summary>
/// <remarks>
/// <code>
///   why a file cannot be read                           is taken for
///   -------------------------------------------------   ----------------------------------------------------------------
///   there is none, or not for this process (a mask, a   no such file: what it would say does not bind the process, or
///   policy of security), or it is no file to be read    cannot be known, now or later
///   no descriptor, no memory                            not known now, for as long as it lasts
///   anything else: EIO, a file system in user space     not known now; for good if it lasts for 10 s, since somebody who
///   that has ended, ...                                 never gets an answer would have to assume the worst for ever
/// </code>
/// </remarks>
/// <param name="systemCalls">The kernel.</param>
/// <param name="root">In front of each path. Tests have one of their own.</param>
internal sealed class KernelFiles(SystemCalls systemCalls, string root = "")
{
    // More than most of these files have; whatever is larger is read in pieces.
    private const int PieceSize = 4096;

    internal const long PatienceNanoseconds = 10_000 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly byte[] _piece = new byte[PieceSize];

    // Since when a file cannot be read for a reason of the last kind. Mostly empty.
    private readonly Dictionary<string, long> _failingSince = [];

    internal SystemCalls SystemCalls { get; } = systemCalls;

    /// <summary>For tests: the time, on the monotonic clock.</summary>
    internal Func<long> Clock { get; init; } = static () => MonotonicClock.Now;

    /// <summary>
    /// Some file could not be read now. Stays set until somebody resets it: what was found out meanwhile is not the truth.
    /// </summary>
    internal bool IsIncomplete
    {
        get => Obstacle is not null;
        set => Obstacle = value ? Obstacle ?? "something cannot be read" : null;
    }

    /// <summary>Which file, and why, for the log: the half of a sentence. Null: everything could be read.</summary>
    internal string? Obstacle { get; private set; }

    internal string PathOf(string path) => root + path;

    /// <summary>Null: there is none, or it is none of our business.</summary>
    internal string? Read(string path)
    {
        SyscallResult opened = SystemCalls.Open(PathOf(path), LibC.O_RDONLY, 0);
        if (opened.IsError)
        {
            OnError(path, opened.Errno);
            return null;
        }

        // Paths are UTF-8, and a character may be in two pieces.
        List<byte> bytes = [];
        SyscallResult read;
        while ((read = SystemCalls.Read(opened.Value, _piece)).IsSuccess && read.Value != 0)
        {
            bytes.AddRange(_piece.AsSpan(0, read.Value));
        }

        SystemCalls.Close(opened.Value);
        if (read.IsError)
        {
            OnError(path, read.Errno);
            return null;
        }

        if (_failingSince.Count != 0)
        {
            _failingSince.Remove(path);
        }

        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    /// <summary>A file that holds one number. Null: it is not there, or holds a word, such as <c>max</c>.</summary>
    internal long? ReadNumber(string path) => Read(path) is { } text ? Parse(text) : null;

    /// <summary>The number at the beginning, behind white space. Null: there is none that fits.</summary>
    internal static long? Parse(ReadOnlySpan<char> text)
    {
        text = text.TrimStart();
        int length = text.IndexOfAnyExceptInRange('0', '9');
        ReadOnlySpan<char> number = length < 0 ? text : text[..length];
        return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
    }

    /// <summary>The number behind a name at the beginning of a line. Null: there is none.</summary>
    internal static long? Find(string? text, string name)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
            {
                return Parse(line[name.Length..]);
            }
        }

        return null;
    }

    private void OnError(string path, Errno errno)
    {
        switch (errno)
        {
            // The last two: a process or a group that has just ended. EOPNOTSUPP and EINVAL: the file is there, and has nothing to say.
            case Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP or Errno.EACCES or Errno.EPERM or Errno.EISDIR or Errno.EINVAL
                or Errno.EOPNOTSUPP or Errno.ENXIO or Errno.ESRCH or Errno.ENODEV:
                _failingSince.Remove(path);
                return;

            case Errno.EMFILE or Errno.ENFILE:
                Obstacle ??= "the process has no descriptors left, without which it cannot start a thread";
                return;

            case Errno.ENOMEM:
                Obstacle ??= "the kernel has no memory left";
                return;

            default:
                long now = Clock();
                if (!_failingSince.TryGetValue(path, out long since))
                {
                    _failingSince[path] = since = now;
                }

                if (now - since < PatienceNanoseconds)
                {
                    Obstacle ??= $"{path} cannot be read ({errno})";
                }

                return;
        }
    }
}
