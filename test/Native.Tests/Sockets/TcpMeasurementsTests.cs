using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Sockets;

public class TcpMeasurementsTests
{
    [Fact]
    public async Task The_offsets_are_the_kernel_headers()
    {
        Assert.SkipUnless(
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "cc"))),
            "The C compiler cc is not installed.");
        Assert.SkipUnless(File.Exists("/usr/include/linux/tcp.h"), "linux/tcp.h is not installed (Debian package linux-libc-dev).");
        KeyValuePair<string, int>[] offsets = [.. typeof(TcpMeasurements)
            .GetFields(BindingFlags.Static | BindingFlags.NonPublic)
            .Where(static field => field.Name.EndsWith("Offset", StringComparison.Ordinal))
            .Select(static field => new KeyValuePair<string, int>(ToC(field.Name), (int)field.GetRawConstantValue()!))];
        Assert.Equal(13, offsets.Length);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("netpoll-tcp-info");
        try
        {
            string source = Path.Combine(folder.FullName, "offsets.c");
            string program = Path.Combine(folder.FullName, "offsets");
            string prints = string.Concat(offsets.Select(
                static offset => $"printf(\"%d \", (int)offsetof(struct tcp_info, {offset.Key}));\n"));
            await File.WriteAllTextAsync(source, $$"""
                #include <linux/tcp.h>
                #include <stddef.h>
                #include <stdio.h>
                int main(void) { {{prints}} return 0; }
                """);
            await RunAsync("cc", source, "-o", program);

            int[] compiled = [.. (await RunAsync(program)).Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(static text => int.Parse(text, CultureInfo.InvariantCulture))];

            Assert.Equal(offsets.Select(static offset => offset.Value), compiled);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // SndCwndOffset is of tcpi_snd_cwnd.
    private static string ToC(string name) =>
        "tcpi" + Regex.Replace(name[..^"Offset".Length], "[A-Z]", static match => "_" + match.Value.ToLowerInvariant());

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
