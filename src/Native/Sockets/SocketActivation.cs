using System.Globalization;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Sockets;

/// <summary>Sockets that a service manager hands to the process, by the socket activation protocol.</summary>
internal static class SocketActivation
{
    // The inherited descriptors are 3 and following, if the process is the one meant.
    private const string ActivationPid = "LISTEN_PID";
    private const string ActivationCount = "LISTEN_FDS";
    private const string ActivationNames = "LISTEN_FDNAMES";
    private const int FirstActivated = 3;

    // As sd_listen_fds_with_names calls all of them if the manager names none.
    private const string NameOfUnnamed = "unknown";

    /// <summary>
    /// A service manager passes its sockets open across exec. The receiver has to keep them from the processes that it starts itself, as
    /// sd_listen_fds does. Other handles are left as their owner wants them.
    /// </summary>
    internal static void ProtectIfActivated(NetpollRuntime runtime, ulong handle)
    {
        if (handle is >= FirstActivated and <= int.MaxValue && handle - FirstActivated < CountPassed())
        {
            runtime.SystemCalls.SetFdFlags((int)handle, LibC.FD_CLOEXEC);
        }
    }

    /// <summary>What has been passed to this process, in the manager's order; several may have the same name.</summary>
    /// <exception cref="InvalidOperationException">There are more or fewer names than sockets.</exception>
    internal static IReadOnlyList<(string Name, int Fd)> GetPassed()
    {
        int count = (int)Math.Min(CountPassed(), int.MaxValue - FirstActivated);
        if (count == 0)
        {
            return [];
        }

        string[] names = Environment.GetEnvironmentVariable(ActivationNames) is { } given
            ? given.Split(':')
            : [.. Enumerable.Repeat(NameOfUnnamed, count)];
        return names.Length == count
            ? [.. names.Select(static (name, index) => (name, FirstActivated + index))]
            : throw new InvalidOperationException(
                $"{ActivationNames} has {names.Length} names, and {ActivationCount} says {count} sockets.");
    }

    private static uint CountPassed() =>
        int.TryParse(Environment.GetEnvironmentVariable(ActivationPid), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
        && pid == Environment.ProcessId
        && Environment.GetEnvironmentVariable(ActivationCount) is { } given
        && uint.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out uint count)
            ? count
            : 0;
}
