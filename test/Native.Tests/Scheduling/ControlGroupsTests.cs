using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

public sealed class ControlGroupsTests : IDisposable
{
    private const string Unified = "30 22 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    private const string Pids = "38 30 0:35 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n";
    private const string Processor = "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";
    private const string Root = "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n";

    private readonly FakeKernelFolder _kernel = new();

    public void Dispose() => _kernel.Dispose();

    [Fact]
    public void Of_version_2_all_on_the_path_up_are_found() => Assert.Equal(
        ["2 /sys/fs/cgroup/a/b", "2 /sys/fs/cgroup/a", "2 /sys/fs/cgroup"],
        Find("0::/a/b\n", Root + Unified));

    [Fact]
    public void Of_version_1_only_those_of_the_controller_are_found() => Assert.Equal(
        ["1 /sys/fs/cgroup/pids/docker/x", "1 /sys/fs/cgroup/pids/docker", "1 /sys/fs/cgroup/pids"],
        Find("9:cpu,cpuacct:/other\n8:pids:/docker/x\n7:name=systemd:/y\n", Root + Processor + Pids));

    [Fact]
    public void A_controller_may_share_its_hierarchy() => Assert.Equal(
        ["1 /sys/fs/cgroup/cpu,cpuacct/other", "1 /sys/fs/cgroup/cpu,cpuacct"],
        Find("9:cpu,cpuacct:/other\n8:pids:/docker/x\n", Root + Processor + Pids, controller: "cpuacct"));

    [Fact]
    public void Both_versions_count_where_both_are_mounted() => Assert.Equal(
        ["1 /sys/fs/cgroup/pids/x", "1 /sys/fs/cgroup/pids", "2 /sys/fs/cgroup/y", "2 /sys/fs/cgroup"],
        Find("8:pids:/x\n0::/y\n", Unified + Pids));

    /// <summary>A container without a namespace for groups: the path is the host's, and what is mounted begins at the container's own.</summary>
    [Theory]
    [InlineData("8:pids:/docker/x\n", "1 /sys/fs/cgroup/pids")]
    [InlineData("8:pids:/docker/x/y\n", "1 /sys/fs/cgroup/pids/y,1 /sys/fs/cgroup/pids")]
    [InlineData("8:pids:/docker/xy\n", "1 /sys/fs/cgroup/pids")]
    [InlineData("8:pids:/\n", "1 /sys/fs/cgroup/pids")]
    public void A_mount_that_begins_at_a_group_shows_what_is_below_it(string membership, string expected) => Assert.Equal(
        expected.Split(','),
        Find(membership, "38 30 0:35 /docker/x /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"));

    [Fact]
    public void The_mount_that_shows_the_group_is_taken() => Assert.Equal(
        ["2 /second/b", "2 /second"],
        Find("0::/a/b\n", "1 2 0:1 /c /first rw - cgroup2 none rw\n3 2 0:1 /a /second rw - cgroup2 none rw\n4 2 0:1 / /third rw - cgroup2 none rw\n"));

    /// <summary>White space and backslashes are written in octal in the mounts, and as they are in the membership.</summary>
    [Fact]
    public void Names_may_have_blanks_backslashes_and_any_letters() => Assert.Equal(
        [@"2 /my groups/\x2d ü/b\040", @"2 /my groups/\x2d ü"],
        Find("0::/a b\\/b\\040\n", "1 2 0:1 /a\\040b\\134 /my\\040groups/\\134x2d\\040ü rw - cgroup2 none rw\n"));

    /// <summary>A path that fills more than what is read at once, with a letter of two bytes on the border.</summary>
    [Fact]
    public void Letters_are_not_torn()
    {
        string name = new('a', 4096 - "0::/".Length - 1);
        Assert.Equal($"2 /sys/fs/cgroup/{name}ü", Find($"0::/{name}ü\n", Unified)[0]);
    }

    [Fact]
    public void A_group_outside_of_the_namespace_is_not_looked_for() => Assert.Equal(["2 /sys/fs/cgroup"], Find("0::/../x\n", Unified));

    [Theory]
    [InlineData("", "")]
    [InlineData("0::/a\n", "")]
    [InlineData("nonsense\n1:2\n", "more nonsense - \n - \n1 2 3 4 5 6 - x\n")]
    public void Where_there_is_nothing_nothing_is_found(string membership, string mounts) => Assert.Empty(Find(membership, mounts));

    [Fact]
    public void Without_proc_nothing_is_found() => Assert.Empty(new ControlGroups(_kernel.Files, "pids").Find());

    [Fact]
    public void A_process_that_is_moved_is_followed()
    {
        ControlGroups groups = new(_kernel.Files, "pids");
        Write("0::/a\n", Unified);
        Assert.Equal("/sys/fs/cgroup/a", groups.Find()[0].Folder);
        Write("0::/b\n", Unified);
        Assert.Equal("/sys/fs/cgroup/b", groups.Find()[0].Folder);

        // If it cannot be seen any more, the last that was known counts.
        _kernel.Delete("/proc/self/cgroup");
        Assert.Equal("/sys/fs/cgroup/b", groups.Find()[0].Folder);
    }

    private string[] Find(string membership, string mounts, string controller = "pids")
    {
        Write(membership, mounts);
        return [.. new ControlGroups(_kernel.Files, controller).Find().Select(group => $"{(group.IsUnified ? 2 : 1)} {group.Folder}")];
    }

    private void Write(string membership, string mounts)
    {
        _kernel.Write("/proc/self/cgroup", membership);
        _kernel.Write("/proc/self/mountinfo", mounts);
    }
}
