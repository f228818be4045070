using System.Globalization;
using System.Text;

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// Small text files that the kernel makes up (<c>/proc</c>, control groups). Without <see cref="File"/>, which locks, asks for the size and
/// throws: what cannot be read is an answer here. Not thread-safe.
/// </summary>
/// <param name="systemCalls">The kernel.</param>
/// <param name="root">In front of each path. Tests have one of their own.</param>
internal sealed class KernelFiles(SystemCalls systemCalls, string root = "")
{
    // More than most of these files have; whatever is larger is read in pieces.
    private const int PieceSize = 4096;

    private readonly byte[] _piece = new byte[PieceSize];

    internal SystemCalls SystemCalls { get; } = systemCalls;

    /// <summary>
    /// Some file could not be read for a reason that says nothing about it, such as that there was no descriptor. Stays set until somebody
    /// resets it: what was found out meanwhile is not the truth.
    /// </summary>
    internal bool IsIncomplete { get; set; }

    internal string PathOf(string path) => root + path;

    /// <summary>Null: there is none, or it is none of our business.</summary>
    internal string? Read(string path)
    {
        SyscallResult opened = SystemCalls.Open(PathOf(path), LibC.O_RDONLY, 0);
        if (opened.IsError)
        {
            IsIncomplete |= IsPassing(opened.Errno);
            return null;
        }

        var text = new StringBuilder();
        SyscallResult read;
        while ((read = SystemCalls.Read(opened.Value, _piece)).IsSuccess && read.Value != 0)
        {
            text.Append(Encoding.Latin1.GetString(_piece, 0, read.Value));
        }

        SystemCalls.Close(opened.Value);
        IsIncomplete |= read.IsError && IsPassing(read.Errno);
        return read.IsError ? null : text.ToString();
    }

    /// <summary>A file that holds one number. Null: it is not there, or holds a word, such as <c>max</c>.</summary>
    internal long? ReadNumber(string path) => Read(path) is { } text ? Parse(text) : null;

    /// <summary>The number at the beginning, behind white space. Null: there is none that fits.</summary>
    internal static long? Parse(ReadOnlySpan<char> text)
    {
        text = text.TrimStart();
        int length = text.IndexOfAnyExceptInRange('0', '9');
        return long.TryParse(length < 0 ? text : text[..length], NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
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

    private static bool IsPassing(Errno errno) => errno is Errno.EMFILE or Errno.ENFILE or Errno.ENOMEM or Errno.EAGAIN or Errno.EIO;
}
