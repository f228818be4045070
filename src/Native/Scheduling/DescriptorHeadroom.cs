using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Keeps the last descriptors of the process free of connections. A process that has used them all up can neither load an
/// assembly (.NET holds two for each) nor start a thread nor open a file: it would be full and broken, instead of full.
/// Linux always hands out the lowest free number, so a number in the reserve means that everything below is taken. Costs
/// next to nothing until then. What the rest of the process has come to need since the start, it has taken from the reserve: that much less
/// is kept then, but for a quarter, or for 24. Otherwise connections would wait for descriptors that nobody uses. The limit may be changed
/// from outside at any time, and is followed. Shared by all who accept; any thread.
/// </summary>
internal sealed class DescriptorHeadroom
{
    /// <summary>So few connections may use the reserve, since the rest of the process may have come to need it for good.</summary>
    internal const int FewConnections = 8;

    /// <summary>The last numbers, which only a single connection may have: without them the runtime gives up.</summary>
    internal const int LastResort = 8;

    /// <summary>Milliseconds between two looks at the limit while there is room.</summary>
    internal const long LookInterval = 100;

    private const int LargestReserve = 128;

    // Of the reserve, whatever the rest of the process has taken already: it may come to need more. With fewer, .NET gives up during its
    // first requests.
    private const int ShareThatStays = 4;
    private const int LeastThatStays = 24;

    // Where little is free, most of it is reserved: the application's first request alone loads a dozen assemblies, and what fails to load
    // then the runtime does not try again.
    private const int ShareOfConnections = 5;

    private readonly SystemCalls _systemCalls;
    private readonly Func<int> _readLimit;
    private readonly Func<long> _milliseconds;

    private volatile int _limit;
    private long _lookedAt;

    // Did the connection accepted last get a number in the reserve? Listeners may overwrite each other's answer; what is lost
    // is found out with the next connection.
    private volatile bool _tight;

    /// <param name="systemCalls">The kernel.</param>
    /// <param name="readLimit">How many descriptors the process may have now; what it has at first is not counted as room.</param>
    /// <param name="milliseconds">A clock; null: the system's.</param>
    internal DescriptorHeadroom(SystemCalls systemCalls, Func<int> readLimit, Func<long>? milliseconds = null)
    {
        _systemCalls = systemCalls;
        _readLimit = readLimit;
        _milliseconds = milliseconds ?? (static () => Environment.TickCount64);
        _limit = readLimit();
        _lookedAt = _milliseconds();
        InUseAtStart = Probe() ?? _limit;
    }

    /// <summary>As it was when it was looked at last.</summary>
    internal int Limit => _limit;

    /// <summary>The number that a descriptor would have got at first.</summary>
    internal int InUseAtStart { get; }

    /// <summary>Is the reserve smaller than it should be, by the limit as it was looked at last?</summary>
    internal bool IsScarce => Limit - FirstReserved < LargestReserve;

    /// <summary>Numbers from here on are kept for everything that is not a connection.</summary>
    internal int FirstReserved
    {
        get
        {
            int limit = _limit;
            return limit - ReserveOf(limit);
        }
    }

    /// <summary>The process's soft limit, which .NET raises to the hard one at start. No limit if it cannot be read.</summary>
    internal static int ReadLimit(SystemCalls systemCalls) =>
        systemCalls.GetResourceLimit(LibC.RLIMIT_NOFILE, out long limit).IsSuccess ? (int)Math.Min(limit, int.MaxValue) : int.MaxValue;

    internal void OnAccepted(int fd)
    {
        long now = _milliseconds();
        if (now - Volatile.Read(ref _lookedAt) >= LookInterval)
        {
            Volatile.Write(ref _lookedAt, now);
            _limit = _readLimit();
        }

        _tight = fd >= FirstReserved;
    }

    /// <summary>Has the reserve been touched? Otherwise there is room, and no need to ask how many connections there are.</summary>
    internal bool IsTight => _tight;

    /// <summary>May another connection be accepted? Once the reserve has been touched, this takes a descriptor to find out.</summary>
    internal bool HasRoom(int openConnections)
    {
        if (!_tight || openConnections == 0)
        {
            return true;
        }

        _limit = _readLimit();
        if (Probe() is not { } number)
        {
            return false;
        }

        int limit = _limit;
        int reserve = ReserveOf(limit);
        _tight = number >= limit - reserve;
        if (!_tight)
        {
            return true;
        }

        // All numbers below this one are taken, and not all of them by connections.
        int takenByOthers = Math.Max(0, number - openConnections - InUseAtStart);
        int left = Math.Max(Math.Max(reserve - takenByOthers, reserve / ShareThatStays), LeastThatStays);
        return number < limit - left || (openConnections < FewConnections && number < limit - LastResort);
    }

    private int ReserveOf(int limit)
    {
        int free = Math.Max(0, limit - InUseAtStart);
        return Math.Min(free - (free / ShareOfConnections), LargestReserve);
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
