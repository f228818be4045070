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
    private const int FirstActivated = 3;

    /// <summary>
    /// A service manager passes its sockets open across exec. The receiver has to keep them from the processes that it starts itself, as
    /// sd_listen_fds does. Other handles are left as their owner wants them.
    /// </summary>
    internal static void ProtectIfActivated(NetpollRuntime runtime, ulong handle)
    {
        if (int.TryParse(Environment.GetEnvironmentVariable(ActivationPid), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
            && pid == Environment.ProcessId
            && Environment.GetEnvironmentVariable(ActivationCount) is { } given
            && uint.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out uint count)
            && handle is >= FirstActivated and <= int.MaxValue
            && handle - FirstActivated < count)
        {
            runtime.SystemCalls.SetFdFlags((int)handle, LibC.FD_CLOEXEC);
        }
    }
}
