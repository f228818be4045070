using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

// Every signature is blittable (paths aside), so a call is a plain jump with errno saved behind it.
[assembly: DisableRuntimeMarshalling]

// libc comes from the system: never look for one in the application's folder.
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// The C library as it is: functions, constants and structs in the spelling of the headers and man pages, one file per family.
/// Only <see cref="SystemCalls"/> calls the functions.
/// </summary>
/// <remarks>
/// Only constants that have the same value on x64 and arm64 are declared (several <c>O_</c> flags do not), and a test compares
/// each of them with the C compiler's. <c>open</c>, <c>fcntl</c>, <c>ioctl</c>, <c>prctl</c> and <c>syscall</c> are variadic in C; on both
/// architectures Linux passes variadic integers and pointers as it passes named ones.
/// </remarks>
internal static unsafe partial class LibC
{
    /// <summary>
    /// The C library that the process already uses, glibc or musl, and what has been put in front of it: <see cref="ResolveGlobally"/>.
    /// </summary>
    private const string Library = "libc";

    /// <summary>
    /// Looks for functions where the dynamic linker looks for those of the runtime's own libraries, in all that the process was started
    /// with. In the C library alone, what <c>LD_PRELOAD</c> puts in front of it (authbind, proxychains, faketime) would not be found. To
    /// be called once, before the first function.
    /// </summary>
    internal static void ResolveGlobally() => NativeLibrary.SetDllImportResolver(
        typeof(LibC).Assembly, static (name, _, _) => name == Library ? NativeLibrary.GetMainProgramHandle() : 0);
}
