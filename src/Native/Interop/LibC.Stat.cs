using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

// sys/stat.h
internal static unsafe partial class LibC
{
    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkfifo(string pathname, uint mode);
}
