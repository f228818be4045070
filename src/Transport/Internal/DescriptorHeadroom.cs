using System.Globalization;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Keeps the last descriptors of the process free of connections. A process that has used them all up can neither load an
/// assembly (.NET holds two for each) nor start a thread nor open a file: it would be full and broken, instead of full.
/// Linux always hands out the lowest free number, so a number in the reserve means that everything below is taken. Costs
/// nothing until then. Shared by the listeners; any thread.
/// </summary>
internal sealed class DescriptorHeadroom
{
    /// <summary>So few connections may use the reserve, since the rest of the process may have come to need it for good.</summary>
    internal const int FewConnections = 8;

    /// <summary>The last numbers, which only a single connection may have: without them the runtime gives up.</summary>
    internal const int LastResort = 8;

    private const string LimitsPath = "/proc/self/limits";
    private const string LimitName = "Max open files";
    private const int LargestReserve = 128;

    // Where little is free, most of it is reserved: the application's first request alone loads a dozen assemblies, and what fails to load
    // then the runtime does not try again.
    private const int ShareOfConnections = 5;

    private readonly SystemCalls _systemCalls;

    // Did the connection accepted last get a number in the reserve? Listeners may overwrite each other's answer; what is lost
    // is found out with the next connection.
    private volatile bool _tight;

    /// <param name="systemCalls">The kernel.</param>
    /// <param name="limit">How many descriptors the process may have; what it has by now is not counted as room.</param>
    internal DescriptorHeadroom(SystemCalls systemCalls, int limit)
    {
        _systemCalls = systemCalls;
        Limit = limit;
        int free = Probe() is { } number ? Math.Max(0, limit - number) : 0;
        FirstReserved = limit - Math.Min(free - (free / ShareOfConnections), LargestReserve);
    }

    internal int Limit { get; }

    /// <summary>Numbers from here on are kept for everything that is not a connection.</summary>
    internal int FirstReserved { get; }

    /// <summary>The process's soft limit, which .NET raises to the hard one at start. No limit if it cannot be read.</summary>
    internal static int ReadLimit()
    {
        try
        {
            string? line = File.ReadLines(LimitsPath).FirstOrDefault(static line => line.StartsWith(LimitName, StringComparison.Ordinal));
            string? soft = line?[LimitName.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
            return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : int.MaxValue;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return int.MaxValue;
        }
    }

    internal void OnAccepted(int fd) => _tight = fd >= FirstReserved;

    /// <summary>Has the reserve been touched? Otherwise there is room, and no need to ask how many connections there are.</summary>
    internal bool IsTight => _tight;

    /// <summary>May another connection be accepted? Once the reserve has been touched, this takes a descriptor to find out.</summary>
    internal bool HasRoom(int openConnections)
    {
        if (!_tight || openConnections == 0)
        {
            return true;
        }

        if (Probe() is not { } number)
        {
            return false;
        }

        _tight = number >= FirstReserved;
        return !_tight || (openConnections < FewConnections && number < Limit - LastResort);
    }

    /// <summary>The number that a new descriptor would get; null when there is none left.</summary>
    private int? Probe()
    {
        SyscallResult probe = _systemCalls.EventFd(0, LibC.EFD_NONBLOCK);
        if (probe.IsError)
        {
            return null;
        }

        _systemCalls.Close(probe.Value);
        return probe.Value;
    }
}
