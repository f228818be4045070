using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>
/// Compares every constant, errno, size and offset that we declare, and those of Tmds.LibC that we use, with the C compiler's. Both the C
/// program and the expectations come from the assemblies, so one that is added later is compared without a change here.
/// </summary>
public sealed class CompilerProbeTests
{
    private static readonly Architecture This = RuntimeInformation.ProcessArchitecture;
    private static readonly Architecture Other = This == Architecture.X64 ? Architecture.Arm64 : Architecture.X64;

    /// <summary>
    /// Where the two architectures differ, among what a layer like this one uses. All else both take from asm-generic. Sources, in the kernel:
    /// include/uapi/linux/eventpoll.h (packed on x86-64), arch/arm64/include/uapi/asm/fcntl.h (four flags of its own),
    /// arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
    /// </summary>
    private static readonly Dictionary<string, (long X64, long Arm64)> Differences = new()
    {
        ["sizeof(struct epoll_event)"] = (12, 16),
        ["offsetof(struct epoll_event, data)"] = (4, 8),
        ["O_DIRECT"] = (0x4000, 0x10000),
        ["O_LARGEFILE"] = (0x8000, 0x20000),
        ["O_DIRECTORY"] = (0x10000, 0x4000),
        ["O_NOFOLLOW"] = (0x20000, 0x8000),
        ["SYS_futex"] = (202, 98),
        ["SYS_gettid"] = (186, 178),
    };

    [Fact]
    public async Task Every_constant_errno_size_and_offset_is_the_compilers()
    {
        Assert.SkipUnless(CompilerProbe.IsInstalled("cc"), "The C compiler cc is not installed.");
        SortedDictionary<string, long> declared = Declarations(This);

        SortedDictionary<string, long> compiled = await CompilerProbe.EvaluateAsync("cc", declared.Keys);

        Assert.Equal(declared.Keys, compiled.Keys);
        Assert.Equal([], declared.Where(d => compiled[d.Key] != d.Value).Select(d => $"{d.Key}: ours {d.Value}, the compiler's {compiled[d.Key]}"));
    }

    [Fact]
    public async Task Those_of_the_other_architecture_are_its_compilers()
    {
        string compiler = Other == Architecture.Arm64 ? "aarch64-linux-gnu-gcc" : "x86_64-linux-gnu-gcc";
        Assert.SkipUnless(CompilerProbe.IsInstalled(compiler), $"The C compiler {compiler} is not installed.");

        await CompilerProbe.VerifyAsync(compiler, DeclarationsOfTheOther());
    }

    /// <summary>For machines without the other's compiler, which is nearly all: what is right here is right there, but for the table above.</summary>
    [Fact]
    public void The_architectures_differ_as_the_kernels_headers_say()
    {
        SortedDictionary<string, long> here = Declarations(This);
        SortedDictionary<string, long> there = DeclarationsOfTheOther();

        Assert.Equal(here.Keys, there.Keys);
        Assert.Equal([], there.Where(d => d.Value != Expected(d.Key, here)).Select(d => $"{d.Key} on {Other}: {d.Value}, not {Expected(d.Key, here)}"));

        static long Expected(string name, SortedDictionary<string, long> here) =>
            !Differences.TryGetValue(name, out (long X64, long Arm64) value) ? here[name]
            : Other == Architecture.Arm64 ? value.Arm64 : value.X64;
    }

    [Fact]
    public void Each_function_that_is_used_leaves_errno_behind()
    {
        UsedTmdsLibC used = UsedTmdsLibC.Find(This)!;

        Assert.Contains("epoll_ctl", used.Functions);
        Assert.Empty(used.FunctionsWithoutErrno());
    }

    [Fact]
    public void The_probe_covers_each_family()
    {
        SortedDictionary<string, long> declared = Declarations(This);

        Assert.Superset(
            new HashSet<string>
            {
                "EPOLLET", "EFD_NONBLOCK", "SOCK_CLOEXEC", "O_NONBLOCK", "O_CLOEXEC", "F_GETFL", "STATX_INO", "IOV_MAX", "TUNSETIFF", "EHWPOISON",
                "SYS_futex", "sizeof(struct iovec)", "sizeof(struct timespec)", "sizeof(struct ifreq)", "sizeof(struct sockaddr_un)",
                "sizeof(socklen_t)", "offsetof(struct msghdr, msg_flags)", "offsetof(struct epoll_event, data)",
                "offsetof(struct sockaddr_in6, sin6_scope_id)", "offsetof(struct statx, stx_dev_minor)", "offsetof(struct termios, c_cc)",
            },
            declared.Keys.ToHashSet());
        Assert.Equal(133 - 2, Enum.GetValues<Errno>().Length - 1); // 41 and 58 are not assigned; 0 is ours.
    }

    private static SortedDictionary<string, long> DeclarationsOfTheOther()
    {
        Assert.SkipUnless(UsedTmdsLibC.Find(Other) is not null, $"This test was built without Tmds.LibC's assembly for {Other}.");
        return Declarations(Other);
    }

    /// <summary>C expression → the value that we believe it has.</summary>
    private static SortedDictionary<string, long> Declarations(Architecture architecture)
    {
        const BindingFlags Static = BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public;
        SortedDictionary<string, long> declarations = new(StringComparer.Ordinal);

        foreach (FieldInfo constant in typeof(LibC).GetFields(Static))
        {
            if (constant.IsLiteral && constant.FieldType != typeof(string))
            {
                Declare(constant.Name, ToNumber(constant.GetRawConstantValue()!));
            }
        }

        Declare(nameof(LibC.SYS_futex), LibC.FutexOn(architecture));
        Declare(nameof(LibC.SYS_gettid), LibC.GetTidOn(architecture));
        foreach (PropertyInfo property in architecture == This ? typeof(LibC).GetProperties(Static) : [])
        {
            Declare(property.Name, ToNumber(property.GetValue(null)!));
        }

        foreach (Errno errno in Enum.GetValues<Errno>().Where(errno => errno != Errno.Success))
        {
            Declare(errno.ToString(), (long)errno);
        }

        // What has a C spelling is a C struct; our own types in that namespace begin with a capital.
        foreach (Type type in typeof(LibC).Assembly.GetTypes().Where(type =>
            type.Namespace == typeof(LibC).Namespace && type.IsValueType && !type.IsNested && char.IsAsciiLetterLower(type.Name[0])))
        {
            Declare($"sizeof(struct {type.Name})", UsedTmdsLibC.SizeOf(type));
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public))
            {
                Declare($"offsetof(struct {type.Name}, {field.Name})", Marshal.OffsetOf(type, field.Name));
            }
        }

        foreach ((string expression, long value) in UsedTmdsLibC.Find(architecture)!.Declarations())
        {
            Declare(expression, value);
        }

        var layout = EpollEventLayout.For(architecture);
        Declare("sizeof(struct epoll_event)", layout.Size);
        Declare("offsetof(struct epoll_event, events)", 0);
        Declare("offsetof(struct epoll_event, data)", layout.DataOffset);
        Declare("sizeof(struct sockaddr_in6)", InternetAddress.MaxLength);
        Declare("sizeof(struct sockaddr_un)", SocketAddresses.MaxLength);
        return declarations;

        // What two of them declare has to be the same.
        void Declare(string expression, long value)
        {
            if (!declarations.TryAdd(expression, value))
            {
                Assert.Equal((expression, declarations[expression]), (expression, value));
            }
        }
    }

    private static long ToNumber(object value) =>
        value is nint number ? number : Convert.ToInt64(value, CultureInfo.InvariantCulture);
}
