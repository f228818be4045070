using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TmdsLibC = Tmds.Linux.LibC;

// Every signature is blittable, so a call is a plain jump with errno saved behind it.
[assembly: DisableRuntimeMarshalling]

// libc comes from the system: never look for one in the application's folder.
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]

namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// The C library in the spelling of the headers and man pages, one file per family: the names that the rest of the code speaks, and the
/// functions that Tmds.LibC does not have or is not used for. Only <see cref="SystemCalls"/> calls functions.
/// </summary>
/// <remarks>
/// <para>
/// Tmds.LibC gives the other functions, the structs and the values. Nothing outside this folder names it. Ours are
/// </para>
/// <list type="bullet">
/// <item>the hot calls: one of Tmds.LibC costs a few nanoseconds more, and its first call a stub that is made at run time;</item>
/// <item>what it lacks;</item>
/// <item><c>poll</c>, which leaves no errno behind there;</item>
/// <item>constants where C# wants a number: labels of a switch, masks of events, what hot calls take.</item>
/// </list>
/// <para>
/// The values are the same on x64 and arm64 unless it says otherwise. A test compares all of them, and those of Tmds.LibC that are used,
/// with the C compiler's.
/// </para>
/// <para>
/// <c>ioctl</c>, <c>prctl</c> and <c>syscall</c> are variadic in C, as are <c>open</c> and <c>fcntl</c>; on both architectures Linux passes
/// variadic integers and pointers as it passes named ones.
/// </para>
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
    internal static void ResolveGlobally()
    {
        NativeLibrary.SetDllImportResolver(
            typeof(LibC).Assembly, static (name, _, _) => name == Library ? NativeLibrary.GetMainProgramHandle() : 0);

        // Elsewhere the package has no assembly, and nothing may ask for it.
        if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64)
        {
            try
            {
                ResolveTmdsGlobally();
            }
            catch (Exception e) when (IsMissingLibrary(e))
            {
                // The first call fails in the same way, where somebody expects it.
            }
        }
    }

    /// <summary>Is it what a call of Tmds.LibC throws where its assembly has not been deployed, or is another's?</summary>
    internal static bool IsMissingLibrary(Exception exception) =>
        exception is FileNotFoundException or FileLoadException or BadImageFormatException;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ResolveTmdsGlobally()
    {
        try
        {
            NativeLibrary.SetDllImportResolver(
                typeof(TmdsLibC).Assembly,
                static (name, _, _) => name.StartsWith("libc.so", StringComparison.Ordinal) ? NativeLibrary.GetMainProgramHandle() : 0);
        }
        catch (InvalidOperationException)
        {
            // The application uses it as well and has said where its functions come from.
        }
    }
}
