using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// This very program as a child process of a test, with something else to do than to run tests: for what only the end of a process shows.
/// </summary>
internal static class ChildProgram
{
    /// <summary>The child has found the descriptor non-blocking while it had a file over it.</summary>
    internal const int SawItNonBlocking = 42;

    private const string Variable = "NETPOLL_TEST_CHILD_DESCRIPTOR";

    /// <summary>A child that takes an inherited descriptor for a file, and ends without having disposed of it.</summary>
    /// <returns>Its exit code.</returns>
    internal static async Task<int> LeaveFileOpenAsync(int descriptor)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!);
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
        {
            start.ArgumentList.Add(typeof(ChildProgram).Assembly.Location);
        }

        start.Environment[Variable] = descriptor.ToString(CultureInfo.InvariantCulture);
        using var child = Process.Start(start)!;
        await child.WaitForExitAsync();
        return child.ExitCode;
    }

    [ModuleInitializer]
    internal static void RunIfChild()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } descriptor)
        {
            int fd = int.Parse(descriptor, CultureInfo.InvariantCulture);
            var file = NetpollFile.FromHandle(new SafeFileHandle(fd, ownsHandle: true));
            bool isNonBlocking = (SystemCalls.Instance.GetFlags(fd).Value & LibC.O_NONBLOCK) != 0;
            Environment.Exit(file.IsPollable && isNonBlocking ? SawItNonBlocking : 1);
        }
    }
}
