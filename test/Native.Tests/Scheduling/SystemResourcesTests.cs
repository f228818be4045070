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
        Assert.True(new ThreadLimits(_kernel.Files).TryRead(out ResourceReading reading));
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

        protected internal override SyscallResult GetResourceLimitOnce(int resource, out long limit)
        {
            limit = resource == LibC.RLIMIT_NPROC ? Processes : Descriptors;
            return SyscallResult.Success(0);
        }

        protected internal override SyscallResult EventFdOnce(uint initial, int flags) =>
            NextNumber is { } number ? SyscallResult.Success(number) : SyscallResult.Failure(Errno.EMFILE);

        // Numbers that this kernel has made up are not open.
        protected internal override SyscallResult CloseOnce(int fd) => fd == NextNumber ? SyscallResult.Success(0) : base.CloseOnce(fd);

        protected internal override SyscallResult OpenOnce(string path, int flags, uint mode) =>
            OpenError is { } error ? SyscallResult.Failure(error) : base.OpenOnce(path, flags, mode);
    }
}
