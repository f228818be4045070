using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// Answers whether the engine can run in this process, and within which limits, and starts it. The answers do not change.
/// Tests make their own, with another kernel; nothing here is process-wide.
/// </summary>
internal sealed class PlatformSupport
{
    private const string SomaxconnPath = "/proc/sys/net/core/somaxconn";
    private const int FallbackListenBacklog = 512;

    private readonly SystemCalls _systemCalls;
    private readonly Lazy<string?> _obstacle;
    private readonly Lazy<string?> _obstacleToPoll;

    internal PlatformSupport()
        : this(SystemCalls.Instance)
    {
    }

    internal PlatformSupport(SystemCalls systemCalls)
        : this(OperatingSystem.IsLinux(), RuntimeInformation.ProcessArchitecture, systemCalls) =>
        ReadDescriptorLimit = () => DescriptorHeadroom.ReadLimit(systemCalls);

    internal PlatformSupport(bool isLinux, Architecture architecture, SystemCalls systemCalls, int descriptorLimit = int.MaxValue)
    {
        _systemCalls = systemCalls;
        ReadDescriptorLimit = () => descriptorLimit;
        _obstacle = new Lazy<string?>(() => FindObstacle(isLinux, architecture, () => FindRefused(systemCalls)));
        _obstacleToPoll = new Lazy<string?>(() => FindObstacle(isLinux, architecture, () => FindRefusedToPoll(systemCalls)));
    }

    /// <summary>Says how many descriptors the process may have open: the one answer that may change.</summary>
    internal Func<int> ReadDescriptorLimit { get; init; }

    /// <summary>How many threads and how much memory it may have; null: what the kernel says.</summary>
    internal SystemResources? Resources { get; init; }

    /// <summary>Why the engine cannot run on epoll, as a sentence for the log; null when it can.</summary>
    internal string? Obstacle => _obstacle.Value;

    /// <summary>The same for a backend.</summary>
    internal string? ObstacleTo(PollerBackend backend) => backend switch
    {
        PollerBackend.Epoll => _obstacle.Value,
        PollerBackend.Poll => _obstacleToPoll.Value,
        _ => throw new UnreachableException(),
    };

    /// <inheritdoc cref="NetpollRuntime(NetpollRuntimeOptions, SystemCalls)"/>
    internal NetpollRuntime Start(NetpollRuntimeOptions options) => new(options, _systemCalls);

    /// <summary>Begins to keep descriptors free: what is open now is not counted as room.</summary>
    internal DescriptorHeadroom CreateHeadroom() => new(_systemCalls, ReadDescriptorLimit);

    /// <summary>The system's cap on the backlog, which is also the best backlog: a lower one only refuses bursts earlier.</summary>
    internal static int ReadListenBacklog()
    {
        try
        {
            string text = File.ReadAllText(SomaxconnPath);
            return int.TryParse(text, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int value) && value > 0
                ? value
                : FallbackListenBacklog;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return FallbackListenBacklog;
        }
    }

    private static string? FindObstacle(bool isLinux, Architecture architecture, Func<(string Call, Errno Errno)?> findRefused)
    {
        if (!isLinux)
        {
            return "it needs Linux.";
        }

        // The layout of epoll_event differs between architectures, and only these two are checked against the C compiler.
        if (architecture is not (Architecture.X64 or Architecture.Arm64))
        {
            return $"it needs an x64 or arm64 process, this one is {architecture}.";
        }

        // Sandboxes refuse system calls with an error of their choice, so the only way to know is to ask.
        try
        {
            return findRefused() is { } refused ? $"the kernel refuses {refused.Call} ({refused.Errno})." : null;
        }
        catch (Exception e) when (LibC.IsMissingLibrary(e))
        {
            return $"a library that it needs cannot be loaded; deploy the folder \"runtimes\" as well. {e.Message}";
        }
    }

    /// <summary>Makes every call that the engine cannot do without and .NET perhaps can, as the engine does, once.</summary>
    private static (string Call, Errno Errno)? FindRefused(SystemCalls systemCalls)
    {
        SyscallResult epoll = systemCalls.EpollCreate();
        if (epoll.IsError)
        {
            return IsPassing(epoll.Errno) ? null : ("epoll_create1", epoll.Errno);
        }

        SyscallResult eventFd = systemCalls.EventFd(1, LibC.EFD_NONBLOCK);
        try
        {
            if (eventFd.IsError)
            {
                return IsPassing(eventFd.Errno) ? null : ("eventfd2", eventFd.Errno);
            }

            return FindRefused(systemCalls, epoll.Value, eventFd.Value);
        }
        finally
        {
            systemCalls.Close(epoll.Value);
            if (eventFd.IsSuccess)
            {
                systemCalls.Close(eventFd.Value);
            }
        }
    }

    // What is missing only now is for the start of the engine to report, which is tried again for the next endpoint.
    private static bool IsPassing(Errno errno) => errno is Errno.EMFILE or Errno.ENFILE or Errno.ENOMEM;

    private static (string Call, Errno Errno)? FindRefused(SystemCalls systemCalls, int epoll, int eventFd)
    {
        SyscallResult added = systemCalls.EpollCtl(epoll, LibC.EPOLL_CTL_ADD, eventFd, LibC.EPOLLIN | LibC.EPOLLET, data: 0);
        if (added.IsError)
        {
            return ("epoll_ctl", added.Errno);
        }

        // The event is there already, and waiting for it takes no time.
        SyscallResult waited = systemCalls.EpollWait(epoll, new EpollEventBuffer(1, EpollEventLayout.Current), 1, timeoutMilliseconds: 0);
        if (waited.IsError)
        {
            return ("epoll_wait", waited.Errno);
        }

        return FindRefusedToAccept(systemCalls);
    }

    private static (string Call, Errno Errno)? FindRefusedToPoll(SystemCalls systemCalls)
    {
        SyscallResult pipe = systemCalls.Pipe2(out int read, out int write, LibC.O_NONBLOCK);
        if (pipe.IsError)
        {
            return IsPassing(pipe.Errno) ? null : ("pipe2", pipe.Errno);
        }

        SyscallResult polled = systemCalls.PollAll([new pollfd { fd = read, events = LibC.POLLIN }], timeoutMilliseconds: 0);
        systemCalls.Close(read);
        systemCalls.Close(write);
        return polled.IsError ? ("poll", polled.Errno) : FindRefusedToAccept(systemCalls);
    }

    // What is no descriptor is EBADF to a kernel that has the call and allows it.
    private static (string Call, Errno Errno)? FindRefusedToAccept(SystemCalls systemCalls)
    {
        SyscallResult accepted = systemCalls.Accept4(-1, [], out _, LibC.SOCK_NONBLOCK);
        return accepted.Errno == Errno.EBADF ? null : ("accept4", accepted.Errno);
    }
}
