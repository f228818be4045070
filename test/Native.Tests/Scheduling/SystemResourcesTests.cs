using System.Globalization;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Who says how many threads and how much memory there may be, and which of them counts.</summary>
public sealed class SystemResourcesTests : IDisposable
{
    private const string Group = "/sys/fs/cgroup/a/b";
    private const string AllUsers = "         0          0 4294967295\n";

    private readonly LimitedKernel _systemCalls = new();
    private readonly FakeKernelFolder _kernel;

    public SystemResourcesTests()
    {
        _kernel = new FakeKernelFolder(_systemCalls);
        _kernel.Write("/proc/self/cgroup", "0::/a/b\n");
        _kernel.Write("/proc/self/mountinfo", "30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        _kernel.Write("/proc/self/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t20\nCapEff:\t0000000000000000\n");
        _kernel.Write("/proc/self/uid_map", AllUsers);
    }

    public void Dispose() => _kernel.Dispose();

    [Fact]
    public void Without_limits_there_is_none()
    {
        Assert.Equal(ResourceReading.Unlimited, ReadThreads());
        Assert.Equal(ResourceReading.Unlimited, ReadMemory());
    }

    [Theory]
    [InlineData("120", "30", "max", "30", 120, 30, "/sys/fs/cgroup/a/b/pids.max")]
    [InlineData("max", "30", "200", "170", 200, 170, "/sys/fs/cgroup/a/pids.max")]
    [InlineData("120", "30", "200", "170", 200, 170, "/sys/fs/cgroup/a/pids.max")]
    [InlineData("120", "100", "200", "170", 120, 100, "/sys/fs/cgroup/a/b/pids.max")]
    [InlineData("20", "30", "200", "170", 20, 30, "/sys/fs/cgroup/a/b/pids.max")]
    public void The_group_on_the_path_up_that_leaves_least_counts(
        string own, string inOwn, string above, string inAbove, long limit, long used, string source)
    {
        _kernel.Write(Group + "/pids.max", own + "\n");
        _kernel.Write(Group + "/pids.current", inOwn + "\n");
        _kernel.Write("/sys/fs/cgroup/a/pids.max", above + "\n");
        _kernel.Write("/sys/fs/cgroup/a/pids.current", inAbove + "\n");
        Assert.Equal(new ResourceReading(limit, used, source), ReadThreads());
    }

    [Theory]
    [InlineData("/proc/sys/kernel/threads-max", "1000", 1000, 345, "kernel.threads-max")]
    [InlineData("/proc/sys/kernel/pid_max", "400", 400, 345, "kernel.pid_max")]
    [InlineData("/proc/sys/vm/max_map_count", "65530", 16382, 20, "vm.max_map_count")]
    public void The_limits_of_the_system_count(string path, string value, long limit, long used, string source)
    {
        _kernel.Write(path, value + "\n");
        _kernel.Write("/proc/loadavg", "0.12 1.25 0.52 1/345 6789\n");
        Assert.Equal(new ResourceReading(limit, used, source), ReadThreads());
    }

    /// <summary>The numbers of a namespace, and the threads of the whole machine.</summary>
    [Fact]
    public void Numbers_of_processes_that_cannot_be_those_of_all_are_not_compared_with_all()
    {
        _kernel.Write("/proc/sys/kernel/pid_max", "345\n");
        _kernel.Write("/proc/loadavg", "0.12 1.25 0.52 1/345 6789\n");
        Assert.Equal(ResourceReading.Unlimited, ReadThreads());
    }

    [Theory]
    [InlineData(1000, "0000000000000000", AllUsers, true)]
    [InlineData(1000, "0000000001000000", AllUsers, false)]
    [InlineData(1000, "0000000000200000", AllUsers, false)]
    [InlineData(1000, "0000000000000001", AllUsers, true)]
    [InlineData(1000, "", AllUsers, true)]
    [InlineData(0, "0000000000000000", AllUsers, false)]
    [InlineData(0, "000001ffffffffff", "0 100000 65536\n", true)]
    public void The_limit_of_the_user_counts_unless_the_process_may_exceed_it(int user, string capabilities, string map, bool counts)
    {
        _systemCalls.Processes = 100;
        _kernel.Write("/proc/self/uid_map", map);
        _kernel.Write("/proc/self/status", $"Uid:\t{user}\t5\t5\t5\nThreads:\t20\nCapEff:\t{capabilities}\n");

        // The user's, another user's, one that has ended, and none at all.
        _kernel.Write("/proc/4000000/status", $"Uid:\t{user}\t{user}\t{user}\t{user}\nThreads:\t30\n");
        _kernel.Write("/proc/4000001/status", "Uid:\t7\t7\t7\t7\nThreads:\t30\n");
        _kernel.Write("/proc/4000002/other", "");
        _kernel.Write("/proc/fs/status", $"Uid:\t{user}\nThreads:\t30\n");
        Assert.Equal(counts ? new ResourceReading(100, 50, "RLIMIT_NPROC") : ResourceReading.Unlimited, ReadThreads());
    }

    [Theory]
    [InlineData("314572800", "209715200", "104857600", 300, 90, "/sys/fs/cgroup/a/b/memory.max", 20971520)]
    [InlineData("max", "200000000", "0", 800, 500, "the machine's memory")]
    [InlineData("314572800", "104857600", "0", 300, 100, "/sys/fs/cgroup/a/b/memory.max")]
    [InlineData("314572800", "209715200", "104857600", 300, 100, "/sys/fs/cgroup/a/b/memory.max")]
    [InlineData("838860800", "1048576", "0", 800, 500, "the machine's memory")]
    public void The_memory_of_a_group_counts_without_what_can_be_dropped(
        string most, string used, string inactive, long limit, long inUse, string source, int active = 0)
    {
        _kernel.Write("/proc/meminfo", "MemTotal:   819200 kB\nMemFree:   1000 kB\nMemAvailable:   307200 kB\n");
        _kernel.Write(Group + "/memory.max", most + "\n");
        _kernel.Write(Group + "/memory.current", used + "\n");
        _kernel.Write(Group + "/memory.stat", $"anon 5\ninactive_file {inactive}\nactive_file {active}\n");
        const long Mebibyte = 1024 * 1024;
        Assert.Equal(new ResourceReading(limit * Mebibyte, inUse * Mebibyte, source), ReadMemory());
    }

    /// <summary>Above memory.high the kernel lets nobody go on, long before memory.max.</summary>
    [Theory]
    [InlineData("max", "200", 200, "memory.high")]
    [InlineData("400", "200", 200, "memory.high")]
    [InlineData("200", "400", 200, "memory.max")]
    [InlineData("200", "max", 200, "memory.max")]
    [InlineData("200", null, 200, "memory.max")]
    public void The_lower_one_of_the_two_limits_of_a_group_counts(string max, string? high, long limit, string source)
    {
        _kernel.Write("/proc/meminfo", "MemTotal:   819200 kB\nMemAvailable:   819200 kB\n");
        _kernel.Write(Group + "/memory.max", max + "\n");
        if (high is not null)
        {
            _kernel.Write(Group + "/memory.high", high + "\n");
        }

        _kernel.Write(Group + "/memory.current", "150\n");
        Assert.Equal(new ResourceReading(limit, 150, $"{Group}/{source}"), ReadMemory());
    }

    [Fact]
    public void Half_of_what_the_kernel_keeps_for_later_counts_as_free()
    {
        _kernel.Write("/proc/meminfo", "MemTotal:   819200 kB\nMemAvailable:   819200 kB\n");
        _kernel.Write(Group + "/memory.max", "1000\n");
        _kernel.Write(Group + "/memory.current", "900\n");
        _kernel.Write(Group + "/memory.stat", "slab 700\nslab_reclaimable 400\nslab_unreclaimable 300\ninactive_file 100\nactive_file 40\n");
        Assert.Equal(new ResourceReading(1000, 900 - 200 - 100 - 20, Group + "/memory.max"), ReadMemory());
    }

    /// <summary>In a container, the groups above its own cannot be seen.</summary>
    [Theory]
    [InlineData("9223372036854771712", "500", 500, true)]
    [InlineData("400", "500", 400, false)]
    public void The_limit_of_groups_of_version_1_that_cannot_be_seen_counts(string own, string above, long limit, bool isAbove)
    {
        const string Own = "/sys/fs/cgroup/memory";
        _kernel.Write("/proc/meminfo", "MemTotal:   819200 kB\nMemAvailable:   819200 kB\n");
        _kernel.Write("/proc/self/cgroup", "4:memory:/docker/x\n");
        _kernel.Write("/proc/self/mountinfo", "34 30 0:31 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
        _kernel.Write(Own + "/memory.limit_in_bytes", own + "\n");
        _kernel.Write(Own + "/memory.usage_in_bytes", "300\n");
        WriteAbove(above);
        MemoryLimits limits = new(_kernel.Files);
        Assert.True(limits.TryRead(out ResourceReading reading));
        string source = isAbove ? $"hierarchical_memory_limit in {Own}/memory.stat" : Own + "/memory.limit_in_bytes";
        Assert.Equal(new ResourceReading(limit, 250, source), reading);

        // It is followed, if not at once.
        WriteAbove("350");
        Assert.True(limits.TryRead(out ResourceReading soon));
        Assert.Equal(limit, soon.Limit);
        _kernel.Now += MemoryLimits.HierarchyIntervalNanoseconds;
        Assert.True(limits.TryRead(out ResourceReading later));
        Assert.Equal(350, later.Limit);

        void WriteAbove(string value) =>
            _kernel.Write(Own + "/memory.stat", $"cache 9\nhierarchical_memory_limit {value}\ntotal_inactive_file 50\n");
    }

    [Fact]
    public void Memory_of_version_1_counts_as_well()
    {
        _kernel.Write("/proc/meminfo", "MemTotal:   819200 kB\nMemAvailable:   819200 kB\n");
        _kernel.Write("/proc/self/cgroup", "4:memory:/a\n");
        _kernel.Write("/proc/self/mountinfo", "34 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
        _kernel.Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        _kernel.Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "9223372036854771712\n");
        _kernel.Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n");
        _kernel.Write("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "700\n");
        _kernel.Write("/sys/fs/cgroup/memory/a/memory.stat", "inactive_file 50\nactive_file 20\ntotal_inactive_file 90\ntotal_active_file 20\n");
        Assert.Equal(new ResourceReading(1000, 600, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"), ReadMemory());
    }

    [Fact]
    public void What_cannot_be_read_for_want_of_descriptors_is_not_taken_for_no_limit()
    {
        SystemResources resources = new(_kernel.Files);
        _systemCalls.OpenError = Errno.EMFILE;
        Assert.False(resources.TryRead(out _, out _));
        _systemCalls.OpenError = Errno.EACCES;
        Assert.True(resources.TryRead(out _, out _));
        _systemCalls.OpenError = null;
        Assert.True(resources.TryRead(out _, out _));

        // Starting a thread takes some.
        _systemCalls.NextNumber = 196;
        _systemCalls.Descriptors = 200;
        Assert.False(resources.TryRead(out _, out _));
        _systemCalls.NextNumber = null;
        Assert.False(resources.TryRead(out _, out _));
        _systemCalls.NextNumber = 195;
        Assert.True(resources.TryRead(out _, out _));
    }

    /// <summary>A file may be hidden from the process for good, or fail for a moment, or be served by a process that has ended.</summary>
    [Theory]
    [InlineData(nameof(Errno.ENOENT), true, true)]
    [InlineData(nameof(Errno.EACCES), true, true)]
    [InlineData(nameof(Errno.EPERM), true, true)]
    [InlineData(nameof(Errno.EOPNOTSUPP), true, true)]
    [InlineData(nameof(Errno.EIO), false, true)]
    [InlineData(nameof(Errno.ENOTCONN), false, true)]
    [InlineData(nameof(Errno.EMFILE), false, false)]
    [InlineData(nameof(Errno.ENFILE), false, false)]
    [InlineData(nameof(Errno.ENOMEM), false, false)]
    public void A_file_that_cannot_be_read_is_none_or_not_known_now(string name, bool atOnce, bool later)
    {
        Errno error = Enum.Parse<Errno>(name);
        SystemResources resources = new(_kernel.Files);
        _systemCalls.OpenError = error;
        Assert.Equal(atOnce, resources.TryRead(out _, out _));
        Assert.Equal(atOnce, resources.Obstacle is null);
        if (error == Errno.EIO)
        {
            Assert.EndsWith("cannot be read (EIO)", resources.Obstacle, StringComparison.Ordinal);
        }

        _kernel.Now += KernelFiles.PatienceNanoseconds - 1;
        Assert.Equal(atOnce, resources.TryRead(out _, out _));
        _kernel.Now++;
        Assert.Equal(later, resources.TryRead(out _, out _));

        // Each time anew.
        _systemCalls.OpenError = null;
        Assert.True(resources.TryRead(out _, out _));
        Assert.Null(resources.Obstacle);
        _systemCalls.OpenError = error;
        Assert.Equal(atOnce, resources.TryRead(out _, out _));
    }

    [Fact]
    public void A_read_that_fails_is_no_end()
    {
        _systemCalls.ReadError = Errno.EIO;
        Assert.False(new SystemResources(_kernel.Files).TryRead(out _, out _));
        _systemCalls.ReadError = Errno.ESRCH;
        Assert.True(new SystemResources(_kernel.Files).TryRead(out _, out _));
    }

    /// <summary>There may be thousands of processes, and nobody has the time to ask all of them at once.</summary>
    [Fact]
    public void Threads_of_other_processes_are_counted_a_few_at_a_time()
    {
        const int Processes = 40;
        _systemCalls.Processes = 1000;
        for (int i = 0; i < Processes; i++)
        {
            _kernel.Write($"/proc/{5_000_000 + i}/status", "Uid:\t1000\t1000\t1000\t1000\nThreads:\t3\n");
        }

        ThreadLimits limits = new(_kernel.Files, TimeSpan.Zero);
        for (int i = 0; i < Processes; i++)
        {
            int opened = _systemCalls.Opened;
            Assert.True(limits.TryRead(out ResourceReading estimate));
            Assert.InRange(_systemCalls.Opened - opened, 1, 20);

            // Those that have not been asked are taken to be as those that have.
            Assert.Equal(20 + (3 * Processes), estimate.Used);
        }

        // What one round has found counts until the next one is over, some seconds later.
        _kernel.Write("/proc/5000000/status", "Uid:\t1000\t1000\t1000\t1000\nThreads:\t103\n");
        _kernel.Now += UserThreads.IntervalNanoseconds - 1;
        Assert.True(limits.TryRead(out ResourceReading before));
        Assert.Equal(20 + (3 * Processes), before.Used);
        _kernel.Now++;
        for (int i = 0; i < Processes; i++)
        {
            Assert.True(limits.TryRead(out before));
            Assert.Equal(i < Processes - 1 ? 20 + (3 * Processes) : 120 + (3 * Processes), before.Used);
        }
    }

    [Fact]
    public void A_process_that_cannot_be_asked_now_is_asked_again()
    {
        _systemCalls.Processes = 1000;
        for (int i = 0; i < 4; i++)
        {
            _kernel.Write($"/proc/{5_000_000 + i}/status", "Uid:\t1000\t1000\t1000\t1000\nThreads:\t3\n");
        }

        ThreadLimits limits = new(_kernel.Files, Patience.Limit);
        _systemCalls.FailingPath = "/500000";
        Assert.False(limits.TryRead(out _));
        _systemCalls.FailingPath = null;
        Assert.True(limits.TryRead(out ResourceReading reading));
        Assert.Equal(32, reading.Used);
    }

    [Fact]
    public void Of_this_process_something_is_known()
    {
        KernelFiles files = new(SystemCalls.Instance);
        Assert.True(new SystemResources(files).TryRead(out ResourceReading threads, out ResourceReading memory));
        Assert.InRange(threads.Used, 1, threads.Limit);
        Assert.InRange(threads.Limit, 10, 1L << 40);
        Assert.InRange(memory.Used, 1, memory.Limit);
        Assert.InRange(memory.Limit, 1 << 20, 1L << 50);
    }

    [Theory]
    [InlineData("12", 12L)]
    [InlineData(" 12 kB\n", 12L)]
    [InlineData("max\n", null)]
    [InlineData("", null)]
    [InlineData("-1", null)]
    [InlineData("99999999999999999999", null)]
    public void A_number_is_what_is_at_the_beginning(string text, long? expected) => Assert.Equal(expected, KernelFiles.Parse(text));

    [Fact]
    public void A_file_may_be_long()
    {
        string text = string.Join('\n', Enumerable.Range(0, 5000).Select(i => i.ToString(CultureInfo.InvariantCulture)));
        _kernel.Write("/long", text);
        Assert.Equal(text, _kernel.Files.Read("/long"));
    }

    private ResourceReading ReadThreads()
    {
        Assert.True(new ThreadLimits(_kernel.Files, Patience.Limit).TryRead(out ResourceReading reading));
        return reading;
    }

    private ResourceReading ReadMemory()
    {
        Assert.True(new MemoryLimits(_kernel.Files).TryRead(out ResourceReading reading));
        return reading;
    }

    private sealed class LimitedKernel : SystemCalls
    {
        internal long Processes { get; set; } = long.MaxValue;

        internal long Descriptors { get; set; } = long.MaxValue;

        internal int? NextNumber { get; set; } = 100_000;

        internal Errno? OpenError { get; set; }

        internal Errno? ReadError { get; set; }

        /// <summary>A part of the paths that cannot be opened, for want of descriptors.</summary>
        internal string? FailingPath { get; set; }

        internal int Opened { get; private set; }

        protected internal override SyscallResult GetResourceLimitOnce(int resource, out long limit)
        {
            limit = resource == LibC.RLIMIT_NPROC ? Processes : Descriptors;
            return SyscallResult.Success(0);
        }

        protected internal override SyscallResult EventFdOnce(uint initial, int flags) =>
            NextNumber is { } number ? SyscallResult.Success(number) : SyscallResult.Failure(Errno.EMFILE);

        // Numbers that this kernel has made up are not open.
        protected internal override SyscallResult CloseOnce(int fd) => fd == NextNumber ? SyscallResult.Success(0) : base.CloseOnce(fd);

        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode)
        {
            Opened++;
            Errno? error = FailingPath is { } part && path.Contains(part, StringComparison.Ordinal) ? Errno.EMFILE : OpenError;
            return error is { } failure ? SyscallResult.Failure(failure) : base.OpenOnce(path, flags, mode);
        }

        protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer) =>
            ReadError is { } error ? SyscallResult.Failure(error) : base.ReadOnce(fd, buffer);
    }
}
