using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>
/// Compares every constant, errno, size and offset that we declare with the C compiler's. Both the C program and the expectations
/// come from our declarations by reflection, so one that is added later is compared without a change here.
/// </summary>
public sealed class CompilerProbeTests
{
    private const string Headers = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <limits.h>
        #include <linux/futex.h>
        #include <net/if.h>
        #include <netinet/in.h>
        #include <netinet/tcp.h>
        #include <poll.h>
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/epoll.h>
        #include <sys/eventfd.h>
        #include <sys/ioctl.h>
        #include <sys/prctl.h>
        #include <sys/resource.h>
        #include <sys/socket.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <sys/uio.h>
        #include <sys/un.h>
        #include <termios.h>
        #include <time.h>
        #include <unistd.h>
        #include <linux/if_tun.h>
        #include <linux/sockios.h>
        """;

    [Fact]
    public async Task Every_constant_errno_size_and_offset_is_the_compilers()
    {
        Assert.SkipUnless(FindOnPath("cc") is not null, "The C compiler cc is not installed.");
        SortedDictionary<string, long> declared = Declarations();

        SortedDictionary<string, long> compiled = await CompileAndRunAsync(declared.Keys);

        Assert.Equal(declared.Keys, compiled.Keys);
        Assert.Equal([], declared.Where(d => compiled[d.Key] != d.Value).Select(d => $"{d.Key}: ours {d.Value}, the compiler's {compiled[d.Key]}"));
    }

    [Fact]
    public void The_probe_covers_each_family()
    {
        SortedDictionary<string, long> declared = Declarations();

        Assert.Superset(
            new HashSet<string>
            {
                "EPOLLET", "EFD_NONBLOCK", "SOCK_CLOEXEC", "O_NONBLOCK", "IOV_MAX", "TUNSETIFF", "EHWPOISON",
                "sizeof(struct iovec)", "sizeof(struct timespec)", "sizeof(struct ifreq)", "sizeof(struct sockaddr_storage)",
                "offsetof(struct msghdr, msg_flags)", "offsetof(struct epoll_event, data)",
            },
            declared.Keys.ToHashSet());
        Assert.Equal(133 - 2, Enum.GetValues<Errno>().Length - 1); // 41 and 58 are not assigned; 0 is ours.
    }

    /// <summary>C expression → the value that we believe it has.</summary>
    private static SortedDictionary<string, long> Declarations()
    {
        SortedDictionary<string, long> declarations = new(StringComparer.Ordinal);

        foreach (FieldInfo constant in typeof(LibC).GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
        {
            if (constant.IsLiteral && constant.FieldType != typeof(string))
            {
                declarations.Add(constant.Name, Convert.ToInt64(constant.GetRawConstantValue(), CultureInfo.InvariantCulture));
            }
        }

        foreach (Errno errno in Enum.GetValues<Errno>().Where(errno => errno != Errno.Success))
        {
            declarations.Add(errno.ToString(), (long)errno);
        }

        // What has a C spelling is a C struct; our own types in that namespace begin with a capital.
        foreach (Type type in typeof(LibC).Assembly.GetTypes().Where(type =>
            type.Namespace == typeof(LibC).Namespace && type.IsValueType && !type.IsNested && char.IsAsciiLetterLower(type.Name[0])))
        {
            declarations.Add($"sizeof(struct {type.Name})", ManagedSizeOf(type));
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public))
            {
                declarations.Add($"offsetof(struct {type.Name}, {field.Name})", Marshal.OffsetOf(type, field.Name));
            }
        }

        declarations.Add("sizeof(struct epoll_event)", EpollEventLayout.Current.Size);
        declarations.Add("offsetof(struct epoll_event, events)", 0);
        declarations.Add("offsetof(struct epoll_event, data)", EpollEventLayout.Current.DataOffset);
        return declarations;
    }

    private static long ManagedSizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static async Task<SortedDictionary<string, long>> CompileAndRunAsync(IEnumerable<string> expressions)
    {
        using TemporaryDirectory directory = new();
        StringBuilder source = new StringBuilder(Headers).Append("\nint main(void)\n{\n");
        foreach (string expression in expressions)
        {
            source.Append(CultureInfo.InvariantCulture, $"    printf(\"%lld %s\\n\", (long long)({expression}), \"{expression}\");\n");
        }

        source.Append("    return 0;\n}\n");
        await File.WriteAllTextAsync(directory.PathOf("probe.c"), source.ToString());
        await RunAsync("cc", "-o", directory.PathOf("probe"), directory.PathOf("probe.c"));
        string output = await RunAsync(directory.PathOf("probe"));

        SortedDictionary<string, long> values = new(StringComparer.Ordinal);
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] valueAndName = line.Split(' ', 2);
            values.Add(valueAndName[1], long.Parse(valueAndName[0], CultureInfo.InvariantCulture));
        }

        return values;
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program} failed: {await errors}");
        return await output;
    }

    private static string? FindOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);
}
