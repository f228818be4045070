using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>Asks a C compiler what constant expressions are.</summary>
internal static class CompilerProbe
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
        #include <signal.h>
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

    internal static bool IsInstalled(string compiler) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => File.Exists(Path.Combine(folder, compiler)));

    /// <summary>The values, from a program that is compiled and run.</summary>
    internal static async Task<SortedDictionary<string, long>> EvaluateAsync(string compiler, IEnumerable<string> expressions)
    {
        using TemporaryDirectory directory = new();
        StringBuilder source = new StringBuilder(Headers).Append("int main(void)\n{\n");
        foreach (string expression in expressions)
        {
            source.Append(CultureInfo.InvariantCulture, $"    printf(\"%lld %s\\n\", (long long)({expression}), \"{expression}\");\n");
        }

        source.Append("    return 0;\n}\n");
        await File.WriteAllTextAsync(directory.PathOf("probe.c"), source.ToString());
        await RunAsync(compiler, "-o", directory.PathOf("probe"), directory.PathOf("probe.c"));
        string output = await RunAsync(directory.PathOf("probe"));

        SortedDictionary<string, long> values = new(StringComparer.Ordinal);
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] valueAndName = line.Split(' ', 2);
            values.Add(valueAndName[1], long.Parse(valueAndName[0], CultureInfo.InvariantCulture));
        }

        return values;
    }

    /// <summary>Throws, with the compiler's words, unless each expression has its value. Nothing is run: it may be another machine's compiler.</summary>
    internal static async Task VerifyAsync(string compiler, IReadOnlyDictionary<string, long> expected)
    {
        using TemporaryDirectory directory = new();
        StringBuilder source = new(Headers);
        foreach ((string expression, long value) in expected)
        {
            source.Append(CultureInfo.InvariantCulture, $"_Static_assert((long long)({expression}) == {value}LL, \"{expression} is not {value}\");\n");
        }

        await File.WriteAllTextAsync(directory.PathOf("probe.c"), source.ToString());
        await RunAsync(compiler, "-fsyntax-only", directory.PathOf("probe.c"));
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
}
