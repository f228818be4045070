using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// A kernel with epoll, eventfd and scripted files in which events arrive when the test says so. An event carries the cookie of
/// the moment it was raised, and <see cref="AfterFetch"/> runs between fetching and dispatching: everything a stale event needs.
/// Descriptor numbers are reused lowest first, as Linux does, and are far above real ones.
/// </summary>
internal sealed partial class SimulatedKernel : SystemCalls
{
    private const int FirstDescriptor = 1_000_000;
    private const uint AlwaysReported = LibC.EPOLLERR | LibC.EPOLLHUP;

    // Guards everything; waiting threads sleep on it.
    private readonly object _gate = new();
    private readonly Dictionary<int, SimulatedFile> _files = [];
    private readonly Dictionary<int, SimulatedEpoll> _epolls = [];
    private readonly Dictionary<int, ulong> _eventFds = [];
    private readonly List<(string Call, long Timeout)> _waits = [];

    /// <summary>Runs on the waiting thread after it has taken events out of the kernel and before anybody looks at them.</summary>
    internal Action<IReadOnlyList<SimulatedEvent>>? AfterFetch { get; set; }

    /// <summary>Hands pending events out in an order of its own when set.</summary>
    internal Random? Reorder { get; set; }

    /// <summary>Linux drops what is pending for a descriptor when it is unregistered; this keeps it, as if it had been fetched.</summary>
    internal bool KeepEventsOfUnregistered { get; set; }

    /// <summary>The answer to the next registrations; Success registers.</summary>
    internal Errno RegistrationError { get; set; }

    /// <summary>The answer to epoll_pwait2 on kernels that lack it.</summary>
    internal Errno Pwait2Error { get; set; }

    internal int EventFdWrites { get; private set; }

    internal int EventFdReads { get; private set; }

    /// <summary>The waits so far, with their timeouts in the unit of the call.</summary>
    internal IReadOnlyList<(string Call, long Timeout)> Waits
    {
        get
        {
            lock (_gate)
            {
                return [.. _waits];
            }
        }
    }

    internal int OpenDescriptors
    {
        get
        {
            lock (_gate)
            {
                return _files.Count + _epolls.Count + _eventFds.Count;
            }
        }
    }

    /// <summary>What is registered for a descriptor, in whichever epoll instance has it.</summary>
    internal (uint Interest, ulong Cookie)? RegistrationOf(int fd)
    {
        lock (_gate)
        {
            foreach (SimulatedEpoll epoll in _epolls.Values)
            {
                if (epoll.Registrations.TryGetValue(fd, out (uint, ulong) registration))
                {
                    return registration;
                }
            }

            return null;
        }
    }

    /// <summary>An event happens to a descriptor: it is queued wherever that is registered now.</summary>
    internal void Raise(int fd, uint events)
    {
        lock (_gate)
        {
            RaiseLocked(fd, events);
        }
    }

    /// <summary>An event with a cookie of the test's choice: stale, or never registered at all.</summary>
    internal void RaiseWithCookie(uint events, ulong cookie)
    {
        lock (_gate)
        {
            foreach (SimulatedEpoll epoll in _epolls.Values)
            {
                epoll.Pending.Add(new SimulatedEvent(-1, events, cookie));
            }

            Monitor.PulseAll(_gate);
        }
    }

    protected internal override SyscallResult EpollCreateOnce(int flags)
    {
        lock (_gate)
        {
            int fd = NextDescriptor();
            _epolls.Add(fd, new SimulatedEpoll());
            return SyscallResult.Success(fd);
        }
    }

    protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
    {
        lock (_gate)
        {
            SimulatedEpoll epoll = _epolls[epfd];
            if (op == LibC.EPOLL_CTL_DEL)
            {
                if (!KeepEventsOfUnregistered)
                {
                    epoll.Pending.RemoveAll(pending => pending.Fd == fd);
                }

                return epoll.Registrations.Remove(fd) ? SyscallResult.Success(0) : SyscallResult.Failure(Errno.ENOENT);
            }

            if (RegistrationError != Errno.Success)
            {
                return SyscallResult.Failure(RegistrationError);
            }

            return epoll.Registrations.TryAdd(fd, (events, data)) ? SyscallResult.Success(0) : SyscallResult.Failure(Errno.EEXIST);
        }
    }

    protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds) =>
        Wait(epfd, buffer, maxEvents, "epoll_wait", timeoutMilliseconds, TimeSpan.FromMilliseconds(timeoutMilliseconds));

    protected internal override SyscallResult PollReadableOnce(int fd)
    {
        lock (_gate)
        {
            return SyscallResult.Success(_epolls[fd].Pending.Count == 0 ? 0 : 1);
        }
    }

    protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
    {
        if (Pwait2Error != Errno.Success)
        {
            lock (_gate)
            {
                _waits.Add(("epoll_pwait2", timeoutNanoseconds));
            }

            return SyscallResult.Failure(Pwait2Error);
        }

        return Wait(epfd, buffer, maxEvents, "epoll_pwait2", timeoutNanoseconds, TimeSpan.FromMicroseconds(timeoutNanoseconds / 1000d));
    }

    protected internal override SyscallResult EventFdOnce(uint initial, int flags)
    {
        lock (_gate)
        {
            int fd = NextDescriptor();
            _eventFds.Add(fd, initial);
            return SyscallResult.Success(fd);
        }
    }

    private SyscallResult Wait(int epfd, EpollEventBuffer buffer, int maxEvents, string call, long timeout, TimeSpan limit)
    {
        List<SimulatedEvent> fetched = [];
        lock (_gate)
        {
            _waits.Add((call, timeout));
            long deadline = timeout < 0 ? long.MaxValue : Environment.TickCount64 + (long)Math.Ceiling(limit.TotalMilliseconds);
            List<SimulatedEvent> pending = _epolls[epfd].Pending;
            while (pending.Count == 0 && timeout != 0 && Environment.TickCount64 < deadline)
            {
                Monitor.Wait(_gate, (int)Math.Min(1000, deadline - Environment.TickCount64));
            }

            while (pending.Count != 0 && fetched.Count < maxEvents)
            {
                int index = Reorder?.Next(pending.Count) ?? 0;
                buffer.Set(fetched.Count, pending[index].Events, pending[index].Cookie);
                fetched.Add(pending[index]);
                pending.RemoveAt(index);
            }
        }

        AfterFetch?.Invoke(fetched);
        return SyscallResult.Success(fetched.Count);
    }

    private void RaiseLocked(int fd, uint events)
    {
        foreach (SimulatedEpoll epoll in _epolls.Values)
        {
            if (epoll.Registrations.TryGetValue(fd, out (uint Interest, ulong Cookie) registration))
            {
                uint reported = events & (registration.Interest | AlwaysReported);
                epoll.Pending.Add(new SimulatedEvent(fd, reported, registration.Cookie));
            }
        }

        Monitor.PulseAll(_gate);
    }

    private int NextDescriptor()
    {
        int fd = FirstDescriptor;
        while (_files.ContainsKey(fd) || _epolls.ContainsKey(fd) || _eventFds.ContainsKey(fd))
        {
            fd++;
        }

        return fd;
    }
}
